"""Who and what the demonstration's data hold, and how unevenly: shared by data and workload."""

from __future__ import annotations

from dataclasses import dataclass

USERS = 50_000
LESSONS = 2_000
PROGRESS = 300_000
SUBMISSIONS = 100_000

TOPICS = (
    "prompting", "python", "data", "ethics", "agents", "vision", "statistics", "sql",
    "evaluation", "retrieval", "speech", "security", "robotics", "quantum",
)  # fmt: skip
"""Most taught first."""

STATUSES = {"approved": 0.70, "rejected": 0.12, "in_review": 0.08, "pending": 0.07, "draft": 0.03}
DIFFICULTIES = {"beginner": 0.5, "intermediate": 0.35, "advanced": 0.15}

SKEW = 2.0
"""Of n things the k busiest get the share (k/n) ** (1/SKEW): 1 % of the users, 10 % of the rows."""

STRIDE = 7919
"""A prime that scatters the busy ones over the ids."""


def scattered(rank: int, count: int) -> int:
    """The id, 1 to `count`, of the one with this rank, 0 being the busiest."""
    return 1 + rank * STRIDE % count


def email_of(user_id: int) -> str:
    """The address of a user."""
    return f"user{user_id}@example.com"


@dataclass(frozen=True, slots=True)
class Population:
    """How many users and lessons there are; ids run from 1."""

    users: int = USERS
    lessons: int = LESSONS

    @classmethod
    def scaled(cls, scale: float) -> Population:
        """The population at a scale, 1.0 being the full size."""
        return cls(max(1, round(USERS * scale)), max(1, round(LESSONS * scale)))
