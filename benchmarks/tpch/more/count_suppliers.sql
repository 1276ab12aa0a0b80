SELECT count(*) FROM supplier;
