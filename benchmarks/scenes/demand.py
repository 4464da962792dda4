"""Who drives: single vehicles with their kinds and traits, and the SUMO types that these need."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from benchmarks.scenes.kinds import KINDS


@dataclass
class Demand:
    """Vehicles in the making; `traits` says what a trait means to SUMO, as attributes of a vehicle type."""

    traits: dict[str, dict[str, object]]
    trips: list[tuple[float, str]] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)

    def add(self, time_s: float, kind: str, trait: str, route: str, within: str = "", **attributes: object) -> None:
        """Add a vehicle that sets out at `time_s` over the edges of `route`; `within` is XML inside its element."""
        name = self._type(kind, trait)
        given = {"departLane": "best", "departSpeed": "max", **attributes}
        more = " ".join(f'{key}="{value}"' for key, value in given.items())
        number = len(self.trips)
        self.trips.append(
            (
                time_s,
                f'<vehicle id="{trait or kind}{number}" type="{name}" depart="{time_s:.2f}" {more}>'
                f'<route edges="{route}"/>{within}</vehicle>',
            )
        )

    def walk(self, time_s: float, route: str, trait: str = "", kind: str = "person", **attributes: object) -> None:
        """Add one that walks (or rides among those who walk) from `time_s` on; `arrivalPos` is where it ends."""
        name = self._type(kind, trait)
        end = f' arrivalPos="{attributes.pop("arrivalPos")}"' if "arrivalPos" in attributes else ""
        more = " ".join(f'{key}="{value}"' for key, value in attributes.items())
        number = len(self.trips)
        walk = f'<walk edges="{route}"{end}/>'
        text = f'<person id="walk{number}" type="{name}" depart="{time_s:.2f}" {more}>{walk}</person>'
        self.trips.append((time_s, text))

    def _type(self, kind: str, trait: str) -> str:
        name = f"{kind}.{trait}"
        if name not in self.types:
            made = KINDS[kind]
            given: dict[str, object] = {
                "length": made.length_m,
                "width": made.width_m,
                "height": made.height_m,
                "vClass": made.sumo_class,
                **self.traits[""],
                **self.traits[trait],
            }
            attributes = " ".join(f'{key}="{value}"' for key, value in given.items() if value is not None)
            self.types[name] = f'<vType id="{name}" {attributes}/>'
        return name

    def text(self) -> str:
        """Return the routes file."""
        trips = [text for _, text in sorted(self.trips, key=lambda trip: trip[0])]
        return "<routes>\n" + "\n".join([*self.types.values(), *trips]) + "\n</routes>\n"


def arrivals(
    rng: np.random.Generator, per_hour: float, begin_s: float, end_s: float, gap_s: float = 1.5
) -> list[float]:
    """Return times of vehicles that come at random, `gap_s` apart at least."""
    times: list[float] = []
    at = begin_s
    while per_hour > 0.0:
        at += gap_s + rng.exponential(max(3600.0 / per_hour - gap_s, 0.1))
        if at >= end_s:
            break
        times.append(at)
    return times


def pick(rng: np.random.Generator, shares: dict[str, float]) -> str:
    """Return a name by its share."""
    names = list(shares)
    weights = np.array([shares[name] for name in names])
    return names[int(rng.choice(len(names), p=weights / weights.sum()))]


def any_kind(rng: np.random.Generator) -> str:
    """Return a kind of motor vehicle by its share in traffic."""
    return pick(rng, {name: kind.share for name, kind in KINDS.items() if kind.share > 0.0})
