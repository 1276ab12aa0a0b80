-- Indexes as people write them, one a line: what follows CREATE INDEX name ON. A number before it is
-- the first version of PostgreSQL that takes it. The tables are those of data_index_forms_tables.sql.
-- Plain keys.
t (id)
t (id desc nulls last, note)
t (id asc nulls first)
t (ID, "Col 1", "user")
t ("Col 1" text_pattern_ops desc)
t ("user" collate "C")
t ((note))
t (((note)))
t using hash (note)
t using hash (mood)
t (id) include (note, status)
t (id) include (status, note) with (fillfactor = 70)
t (oid_, chr, nam)
t (net inet_ops, mac, uid_)
t (amount, score, big, tiny)
t (dom, mail)
t (mood, ok, day)
t (pair)
t (cash, bits, bin)
t (tags)
t (doc)
-- Operator classes and their parameters, collations.
t (note text_ops)
t (note pg_catalog.text_pattern_ops)
t (status varchar_pattern_ops)
t (status varchar_ops)
t (code bpchar_pattern_ops)
t (note collate "POSIX", status collate "C" varchar_pattern_ops)
t (note collate pg_catalog."default")
t (note collate "C" desc nulls last)
t (lower(note) collate "C")
t ((note || status) collate "C" text_pattern_ops)
t (named collate "C")
t (named)
t (lower(named))
t (named collate "ucs_basic")
t using gin (doc)
t using gin (doc jsonb_path_ops)
t using gin (doc jsonb_ops) with (fastupdate = off, gin_pending_list_limit = 128)
t using gin ((doc -> 'tags'))
t using gin ((doc -> 'tags') jsonb_path_ops) where doc ? 'tags'
t using gin (tags)
t using gin (tags array_ops, words)
t using gin (nums)
t using gin (nums gin__int_ops)
t using gin (to_tsvector('english', note))
t using gin (to_tsvector('english'::regconfig, coalesce(note, '') || ' ' || coalesce(status, '')))
t using gin (to_tsvector('pg_catalog.simple', doc))
t using gin ((setweight(to_tsvector('simple', note), 'A') || setweight(words, 'B')))
t using gin (note gin_trgm_ops)
t using gin (lower(note) gin_trgm_ops, status gin_trgm_ops)
t using gin (kv)
t using gin (id, words)
t using gist (note gist_trgm_ops)
t using gist (note gist_trgm_ops (siglen = 32))
t using gist (words tsvector_ops (siglen = 64))
t using gist (during)
t using gist (id, during)
t using gist (during range_ops, spot) include (id)
t using gist (tsrange(gone_at, gone_at + interval '1 hour'))
t using gist (daterange(day, day + 7, '[)'))
t using gist (int4range(id, id + 10, '[]'))
t using gist (box(spot, spot))
t using gist (area)
t using gist (net inet_ops)
t using gist (path gist_ltree_ops (siglen = 100))
t using gist (kv gist_hstore_ops (siglen = 32))
t using spgist (note)
t using spgist (spot kd_point_ops)
t using spgist (spot)
t using spgist (during)
t using spgist (net)
t using brin (at)
t using brin (at, day) with (pages_per_range = 16, autosummarize = on)
t using brin (id int4_minmax_multi_ops (values_per_range = 16))
t using brin (id int4_bloom_ops (n_distinct_per_range = 100, false_positive_rate = 0.05))
t using brin (net inet_inclusion_ops)
t using brin (during range_inclusion_ops)
t using bloom (id, nine) with (length = 80, col1 = 2)
t (kv)
t (path)
t (g)
t (lower(g))
t (g citext_pattern_ops)
-- Expressions.
t (lower(mail))
t (lower(status), upper(code), initcap(nam::text))
t (lower(status::text))
t ((status::text))
t ((id::text))
t ((id::bigint))
t (cast(id as numeric(10, 2)))
t ((amount::int))
t ((note::varchar(10)))
t ((gone_at::date))
t (date(gone_at))
t (date_trunc('day', gone_at))
t (date_trunc('month', at at time zone 'UTC'))
16 t (date_trunc('hour', at, 'Europe/Berlin'))
t (timezone('utc', at))
t ((at at time zone 'America/New_York'))
t (extract(year from gone_at))
t (extract(epoch from gone_at))
t (date_part('month', gone_at), date_part('year', day))
t ((gone_at + interval '1 day 02:03:04'))
t ((gone_at - '2000-01-01'::timestamp))
t (age(gone_at, '2020-02-29'))
t (to_timestamp(big))
t ((id + 1))
t ((id % 10), (amount * 2), (-id), (+ id), (~ id), (id # 3), (id << 2))
t ((score / 2.5), (score > -1.5), (amount ^ 2), (|/ score), (@ id))
t (abs(id), round(amount, 2), floor(score), mod(id, 16), width_bucket(amount, 0, 100, 10))
t ((id::float8 / 3), (1e10 * score), (amount > 1e-5))
t ((doc ->> 'k'))
t ((doc -> 'a' ->> 'b'))
t ((doc #>> '{a,b}'))
t ((doc #>> array['a', 'b']))
t (((doc ->> 'n')::int))
t (((doc ->> 'n')::numeric(10, 2)), ((doc -> 'b')::boolean))
t (cast(doc ->> 'id' as bigint), (doc['x']))
t (jsonb_array_length(doc -> 'x'), jsonb_extract_path_text(doc, 'a', 'b'), jsonb_typeof(doc))
t ((jdoc ->> 'k'), (jdoc #>> '{a,0}'))
t (jsonb_path_exists(doc, '$.a[*] ? (@ > 1)'), jsonb_path_query_first(doc, '$.x'))
t ((doc @? '$.a'), (doc @@ '$.a == 1'))
t ((kv -> 'a'), (kv ? 'b'), exist(kv, 'c'))
t (left(note, 10), right(note, 3), substring(note from 2 for 3), substr(note, 2))
t (substring(note, '^a(.*)$'), regexp_replace(note, '\s+', ' ', 'g'), substring(note from '\d+'))
t (substring(note similar 'a#"%#"z' escape '#'))
t (trim(note), trim(both 'x' from note), trim(leading from note), btrim(note), rtrim(note, E'\n'))
t (position('x' in note), strpos(note, 'y'), overlay(note placing 'x' from 2 for 1))
t (replace(note, '''', '"'), translate(note, 'ab', 'cd'), split_part(mail, '@', 2), reverse(note))
t (md5(note), encode(bin, 'hex'), sha256(bin), hashtext(note), length(note), char_length(status))
t (octet_length(note), ascii(note), chr(id), lpad(id::text, 10, '0'), repeat(note, 2))
t ((note || ' ' || status), (note || id::text), (status || '-' || code))
t (coalesce(note, ''), coalesce(status, 'x'), coalesce(id, 0), coalesce(ok, false))
t (coalesce(gone_at, 'infinity'), coalesce(day, date '1970-01-01'), coalesce(deleted_at, '-infinity'))
t (nullif(note, ''), nullif(status, ''), nullif(id, 0), greatest(id, tiny), least(day, '2020-01-01'))
t ((case when ok then 1 else 0 end), (case status when 'a' then 1 when 'b' then 2 end))
t ((case when status in ('a', 'b') then 'x' when note is null then 'y' else note end))
t ((ok is true), (ok is not false), (ok is unknown), (note is null), (not ok), (ok and tiny > 1))
t ((id = 1 or id = 2), (status = 'x'), (id between 1 and 5), (note like 'a%'))
t ((id is distinct from 5), (id in (1, 2, 3)), (status in ('a', 'b')))
t ((tags[1]), (tags[1:2]), (array_length(tags, 1)), (cardinality(tags)), ('x' = any (tags)))
t (array_to_string_(tags), (tags || 'x'::text), (tags || array['y', 'z']), (array[id, tiny]), (nums + 1))
t ((array['a', status]), (array[note, status, 'x']), (array[]::text[]), ('{1,2}'::int[]))
t ((row(id, note)::pair), ((pair).a), ((pair).b || 'x'), ((id, tiny) < (1, 2)), (row(id) is null))
t (lower(during), upper(during), isempty(during), (during @> 5), ((during * int4range(1, 10))))
t (f(id), f(n => id), f(id, m => 3), s.f(id), s."F g"(note), pg_catalog.lower(note))
t (unaccented(note) gin_catch_ops)
t ((id operator(pg_catalog.+) 1), (id operator(s.|+|) 2), (note ~ '^\d+$'), (note !~* 'x'))
t ((note ilike '%x%'), (note not like 'a\_%'), (note like 'a!%' escape '!'), (note similar to 'a|b'))
t ((bits & B'101'), (bits = X'5'), (bin = '\x00ff'), (bin = E'\\x01'), (uid_ = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'))
t ((U&'d\0061t' || note), ($$a'b$$ || note), (E'a\'b\\c\t' || note), ('a\b' || note), ('é%s{}' || note))
t ((note collate "C" < 'x'), (lower(note collate "C")), ((note collate "C") || 'x'))
t (((spot <-> point '(0,0)')), ((spot)[0]), (area @> point(1, 2)))
t (earthy(spot), (cash * 2), (mood = 'sad')) where false
t ((null::int), (true), (1), ('x'::text))
t (host(net), (net << '10.0.0.0/8'), family(net), masklen(net), network(net))
t (xmlish(note), (normalize(note, nfc)), (note is normalized), (note is nfc normalized))
16 t ((doc is json object), (note is json))
t (upper(t.note), (t.id + 1), "user")
-- Partial ones.
t (id) where status = 'active'
t (id) where status in ('active', 'new')
t (id) where status not in ('done', 'gone')
t (id) where status <> all (array['done', 'gone'])
t (id) where status = any ('{a,b}')
t (id) where status = any (array['a', 'b']::text[])
t (id) where status::text = 'x' and status <> 'y'
t (id) where not (status in ('a', 'b') or note is null)
t (id) where not status = 'done'
t (id) where status like 'a%' or status ilike 'b%' or status not like '%c'
t (id) where status like any (array['a%', 'b%'])
t (id) where note !~~* all ('{a%,b%}')
t (id) where status similar to '(a|b)%'
t (id) where status ~ '^[a-z]+\.x$' and note !~ '\\'
t (id) where status is distinct from 'done'
t (id) where status is not distinct from 'done'
t (id) where status is not distinct from null
t (id) where deleted_at is distinct from at
t (id) where status between 'a' and 'm'
t (id) where status not between 'a' and 'm'
t (id) where id between symmetric 5 and 1
t (id) where code = 'abc' or code in ('x', 'yy')
t (id) where code <> 'abc'::char(3)
t (id) where chr = 'r' and nam = 'pg' or nam in ('a', 'b') or oid_ = 5 or oid_ in (1, 2)
t (id) where dom in ('a', 'b') and dom <> 'c'
t (id) where mail = 'a@b.c' or mail like '%@b.c' or mail not in ('x', 'y')
t (id) where mood = 'glad'
t (id) where mood in ('glad', 'sad') and mood >= 'sad'
t (id) where mood not in ('glad', 'sad')
t (id) where mood > 'sad' or mood = any ('{sad,glad}'::mood[])
t (id) where score = any (array[1.5, 2]) or big = any (array[1, 2]) or amount <> all (array[1, 2])
t (id) where score <> all (array[1.5, id]) or note = any (array[status, mail]) or status not in (note, 'x')
t (id) where status not like all (array['a%', mail]) or exists_(array[status, 'x'], 'y')
unique t ((true))
unique t ((1)) where ok
t ((null::int), (false))
t (id) where ok
t (id) where not ok
t (id) where ok = true and ok is not null
t (id) where ok is not true or ok <> false or ok in (true, null) or ok = 'yes'
t (id) where id in (1, 2, 3) and big in (1, 10000000000) and tiny in (1, 2)
t (id) where big not in (1, 2) or tiny = any (array[1, 2]) or tiny in (1, 70000)
t (id) where id = 1 or id = 2 and tiny = 3 or (id = 4 or tiny = 5)
t (id) where id > 1 and (tiny > 2 and (big > 3 and score > 4)) and amount > 5
t (id) where id > -1 and big > - 2 and score >= -1.5 and amount < -99.50 and tiny <> -3
t (id) where (id, tiny) > (1, 2)
t (id) where (id, tiny) in ((1, 2), (3, 4))
t (id) where (id, note) is not null
t (id) where amount in (1, 2.5) and score in (1, 2.5) and score not in (3)
t (id) where amount > 0.00 and amount = 1e3 and amount <> 'NaN' and score <> 'infinity'
16 t (id) where id = 0x1F or big = 1_000_000 or id = 0b11
t (id) where deleted_at is null
t (id) where deleted_at is null and status = 'new' and ok is true
t (id) where at > '2026-01-01'
t (id) where at >= timestamptz '2026-01-01 00:00:00+02' and at < '2026-06-01 12:00:00.5 UTC'
t (id) where gone_at > '2026-01-01 10:00' and day in ('2020-01-01', '2020-02-02') and tm > '10:00'
t (id) where day = date '2020-01-01' + 1 or gone_at > timestamp '2020-01-01' + '1 mon'::interval
t (id) where span > '1 day' or span < interval '1 year 2 months 3 days 04:05:06' or span = interval '5' day
t (id) where doc ? 'k' and doc ?| array['a', 'b'] and doc ?& '{c,d}'
t (id) where doc @> '{"a": [1, "x"]}' or doc @> '{}'::jsonb or doc = 'null'
t (id) where doc ->> 'kind' = 'x' or doc ->> 'kind' in ('a', 'b') or (doc -> 'n')::int > 3
t (id) where tags @> '{a}' or tags && array['a', 'b'] or tags @> array['c']::varchar[]::text[] or tags = '{}'
t (id) where 'x' = any (tags) or 'y' <> all (tags) or 5 = any (nums) or tags is null
t (id) where nums && '{1,2}' or nums @> array[3] or array[id] <@ nums
t (id) where vtags @> '{a}' or vtags && array['a', 'b']::varchar[] or 'x' = any (vtags)
t (id) where during @> 5 or during && '[1,5)' or during && int4range(1, 9) or not isempty(during)
t (id) where kv ? 'a' or kv -> 'a' = 'b' or kv @> 'a=>1'
t (id) where g = 'X' or g in ('a', 'b') or g like 'a%' or g::text = 'c' or g not in ('x', 'y')
t (id) where length(note) > 3 and coalesce(status, '') <> '' and lower(status) = 'x'
t (id) where lower(status) in ('a', 'b') and upper(code) not in ('X', 'Y') and trim(status) <> ''
t (id) where case when ok then id > 1 when status = 'x' then false else true end
t (id) where nullif(status, '') is not null and coalesce(ok, false) and greatest(id, 0) > 1
t (id) where net << '10.0.0.0/8' or net = '::1' or net in ('1.2.3.4', '5.6.7.8')
t (id) where bits = B'1010' or bin = '\xdeadbeef' or uid_ = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'
t (id) where cash > '1.50'::money
t (id) where pair = row(1, 'x')::pair or (pair).a = 1 or (pair).b in ('x', 'y')
t (id) where path ~ 'a.*' or path <@ 'a.b'
t (id) where note = '' or note = E'a\nb' or note = 'it''s' or note = '100%' or note = '%s' or note = 'a\b'
t (id) where words @@ to_tsquery('english', 'a & b') or words @@ 'x'::tsquery
t (id) where f(id) > 1 and s.f(id, m => 2) > 3 and id operator(s.|+|) 1 = 2
t (id) where status = 'a'::varchar(3) or status::varchar(2) = 'b' or status::char(2) = 'c'
t (id) where named = 'x' or named like 'y%' or named collate "C" > 'z' or named in ('a', 'b')
t (id) where true
t (id) where "user" = 'current_user' and "Col 1" is null and t.id > 1
t (id) where exists_(tags, 'x') is not true
-- Unique ones.
unique t (lower(mail)) where deleted_at is null
unique t (id, coalesce(note, '')) include (status)
15 unique t (id, note) nulls not distinct where id > 5
15 unique t (id, status) nulls distinct
