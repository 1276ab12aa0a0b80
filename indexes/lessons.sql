-- why: the daily lesson is chosen by difficulty
CREATE INDEX idx_lessons_difficulty ON lessons (difficulty);

-- why: lessons are found by topic (topics @> ...)
CREATE INDEX idx_lessons_topics ON lessons USING gin (topics);

-- why: the newest lessons come first
CREATE INDEX idx_lessons_created_at ON lessons (created_at);
