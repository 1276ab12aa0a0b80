-- why: a user's submissions; deleting a user checks this foreign key
-- dbopt:ignore redundant-index the seed declares it, and the demo's audit is to find it
CREATE INDEX idx_project_submissions_user_id ON project_submissions (user_id);

-- why: the reviewers' queue by status
CREATE INDEX idx_project_submissions_status ON project_submissions (status);

-- why: the newest submissions come first
CREATE INDEX idx_project_submissions_submitted_at ON project_submissions (submitted_at);

-- why: a user's submissions of one status, newest first
CREATE INDEX idx_user_projects_status ON project_submissions (user_id, status, submitted_at);
