-- why: signing in looks a user up by address
CREATE INDEX idx_users_email ON users (email);

-- why: reports of new users by day
CREATE INDEX idx_users_created_at ON users (created_at);

-- why: who is active now, and whom to remind
CREATE INDEX idx_users_last_active ON users (last_active);
