-- why: a user's progress; deleting a user checks this foreign key
-- dbopt:ignore redundant-index the seed declares it, and the demo's audit is to find it
CREATE INDEX idx_user_progress_user_id ON user_progress (user_id);

-- why: a lesson's statistics; deleting a lesson checks this foreign key
CREATE INDEX idx_user_progress_lesson_id ON user_progress (lesson_id);

-- why: the leaderboard counts what was completed lately
CREATE INDEX idx_user_progress_completed_at ON user_progress (completed_at);

-- why: a user's attempts at one lesson
-- dbopt:ignore redundant-index the seed declares it, and the demo's audit is to find it
CREATE INDEX idx_user_progress_user_lesson ON user_progress (user_id, lesson_id);

-- why: which lessons a user has completed, read from the index alone
CREATE INDEX idx_user_lessons_progress ON user_progress (user_id, lesson_id, completed_at);
