"""What the AI Skills application asks of its database, and how often."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import LiteralString

from dbopt.demo.population import (
    DIFFICULTIES,
    SKEW,
    STATUSES,
    TOPICS,
    Population,
    email_of,
    scattered,
)

Parameters = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """Draws parameters: busy users and lessons are asked for more often, as they have more rows."""

    rng: random.Random
    population: Population

    def user(self) -> int:
        """A user's id."""
        return self._skewed(self.population.users)

    def lesson(self) -> int:
        """A lesson's id."""
        return self._skewed(self.population.lessons)

    def topics(self) -> list[str]:
        """One topic, or two that a lesson must both have; all are asked for equally often."""
        return self.rng.sample(TOPICS, self.rng.choice((1, 1, 2)))

    def difficulty(self) -> str:
        """A difficulty, as often as there are lessons of it."""
        return self._weighted(DIFFICULTIES)

    def status(self) -> str:
        """A status, as often as there are submissions of it."""
        return self._weighted(STATUSES)

    def score(self) -> int:
        """A quiz's score, 40 to 100."""
        return self.rng.randint(40, 100)

    def _skewed(self, count: int) -> int:
        return scattered(int(count * self.rng.random() ** SKEW), count)

    def _weighted(self, shares: dict[str, float]) -> str:
        return self.rng.choices(list(shares), list(shares.values()))[0]


@dataclass(frozen=True, slots=True)
class Operation:
    """One statement of the application. `weight` is its share, relative to the others'."""

    name: str
    sql: LiteralString
    weight: float
    make_params: Callable[[Draw], Parameters]


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "sign_in",
        "SELECT id, display_name, streak_days FROM users WHERE email = %s",
        8,
        lambda draw: (email_of(draw.user()),),
    ),
    Operation(
        "daily_lesson",
        "SELECT l.id, l.title, l.difficulty, l.minutes FROM lessons AS l"
        " WHERE l.difficulty = %s AND NOT EXISTS (SELECT FROM user_progress AS p"
        " WHERE p.user_id = %s AND p.lesson_id = l.id AND p.completed_at IS NOT NULL)"
        " ORDER BY l.created_at DESC LIMIT 1",
        15,
        lambda draw: (draw.difficulty(), draw.user()),
    ),
    Operation(
        "lessons_by_topic",
        "SELECT id, title, difficulty, minutes FROM lessons WHERE topics @> %s::text[]"
        " ORDER BY created_at DESC LIMIT 20",
        12,
        lambda draw: (draw.topics(),),
    ),
    Operation(
        "user_progress",
        "SELECT p.lesson_id, l.title, p.started_at, p.completed_at, p.score"
        " FROM user_progress AS p JOIN lessons AS l ON l.id = p.lesson_id"
        " WHERE p.user_id = %s ORDER BY p.started_at DESC LIMIT 20",
        20,
        lambda draw: (draw.user(),),
    ),
    Operation(
        "quiz_results",
        "SELECT score, completed_at FROM user_progress"
        " WHERE user_id = %s AND lesson_id = %s AND completed_at IS NOT NULL"
        " ORDER BY completed_at DESC LIMIT 5",
        15,
        lambda draw: (draw.user(), draw.lesson()),
    ),
    Operation(
        "user_submissions",
        "SELECT id, title, status, submitted_at FROM project_submissions"
        " WHERE user_id = %s AND status = %s ORDER BY submitted_at DESC LIMIT 10",
        8,
        lambda draw: (draw.user(), draw.status()),
    ),
    Operation(
        "submissions_by_status",
        "SELECT id, user_id, title, submitted_at FROM project_submissions"
        " WHERE status = %s ORDER BY submitted_at DESC LIMIT 25",
        5,
        lambda draw: (draw.status(),),
    ),
    Operation(
        "leaderboard",
        "SELECT u.display_name, best.lessons, best.score FROM ("
        "SELECT user_id, count(*) AS lessons, round(avg(score)) AS score FROM user_progress"
        " WHERE completed_at >= now() - interval '1 day'"
        " GROUP BY user_id ORDER BY lessons DESC, score DESC LIMIT 10"
        ") AS best JOIN users AS u ON u.id = best.user_id"
        " ORDER BY best.lessons DESC, best.score DESC",
        1,
        lambda _: (),
    ),
    Operation(
        "touch_last_active",
        "UPDATE users SET last_active = now() WHERE id = %s",
        6,
        lambda draw: (draw.user(),),
    ),
    Operation(
        "start_lesson",
        "INSERT INTO user_progress (user_id, lesson_id) VALUES (%s, %s) RETURNING id",
        4,
        lambda draw: (draw.user(), draw.lesson()),
    ),
    Operation(
        "record_progress",
        "UPDATE user_progress SET completed_at = now(), score = %s"
        " WHERE user_id = %s AND lesson_id = %s AND completed_at IS NULL",
        4,
        lambda draw: (draw.score(), draw.user(), draw.lesson()),
    ),
    Operation(
        "submit_project",
        "INSERT INTO project_submissions (user_id, title, repository, status)"
        " VALUES (%s, %s, %s, 'pending') RETURNING id",
        2,
        lambda draw: (draw.user(), "My project", "https://git.example.com/me/project"),
    ),
)
