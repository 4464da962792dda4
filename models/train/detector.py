"""Train a detector: `python -m models.train.detector --data ../shared/trainset --size nano --minutes 150`.

Needs the `train` extra (torch). `--epochs` fixes the number of steps: then the same seed gives the same course, also
after an interruption and `--resume`; `--minutes` follows the clock. The folder named by `--out` gets `last.pt` (the
checkpoint), `best.pt` and `final.pt` (averaged weights) and `log.jsonl`.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from models.train.compose import Composer, Member
from models.train.cutouts import open_cutouts
from models.train.dataset import Cache, Choice, choose, open_cache, open_rendered
from models.train.judge import judge
from models.train.loader import Batch, batches
from models.train.loss import loss
from models.train.network import SIZES, Detector
from models.train.schedule import follow, half_precision, keep_at, load_weights, make_optimiser, rate_at, save_safely

#: Parts of all pictures that rendered scenes make up.
RENDERED_PART = 0.12
LOG_STEPS = 20
#: A step counts as so long at most.
STALL_S = 30.0


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, nargs="+", default=[], help="folders with images/ and labels/ (YOLO), or COCO .json")
    add("--cache", type=Path, help="a prepared folder instead of --data (models.train.pack)")
    add("--size", choices=sorted(SIZES), default="nano")
    add("--out", type=Path, help="folder of this training; .train/SIZE without")
    add("--work", type=Path, default=Path(".train"), help="where prepared pictures lie")
    add("--minutes", type=float, help="train for so long, by the clock")
    add("--epochs", type=float, help="train for so many times the number of pictures")
    add("--steps", type=int, help="train for so many steps")
    add("--resume", action="store_true", help="go on from last.pt in the folder, where there is one")
    add("--start", type=Path, help="weights to start from: fine-tuning (a smaller --rate, such as 5e-4, is fit)")
    add("--batch", type=int, default=16)
    add("--rate", type=float, default=2e-3, help="highest learning rate")
    add("--seed", type=int, default=1)
    add("--threads", type=int, default=1, help="CPU threads of the network")
    add("--workers", type=int, default=0, help="processes that make samples; 0: made in between")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--precision", choices=("auto", "bf16", "fp32"), default="auto")
    add("--share", type=float, default=1.0, help="part of the training pictures: for a learning curve")
    add("--sources", nargs="*", default=[], help="train on these sources only")
    add("--without", nargs="*", default=[], help="leave these sources out of the training")
    add("--hold-out", nargs="*", default=[], metavar="SOURCE/CAMERA", help="cameras that judge instead of training")
    add("--unlabelled", nargs="*", default=[], help="classes without boxes in all --data: no negative loss for them")
    add("--rendered", type=Path, nargs="*", default=[], help="folders of rendered sets (models.train.scenes)")
    add("--teacher", type=Path, help="pseudo boxes (models.train.teacher)")
    add("--no-paste", action="store_true", help="paste no vehicles")
    add("--save-minutes", type=float, default=3.0)
    add("--judge-minutes", type=float, default=20.0, help="average precision on val so often; 0: at the end only")
    args = parser.parse_args(words)
    if sum(value is not None for value in (args.minutes, args.epochs, args.steps)) != 1:
        parser.error("give one of --minutes, --epochs, --steps")
    if bool(args.data) == bool(args.cache):
        parser.error("give one of --data, --cache")
    args.out = args.out or args.work / args.size
    return args


def gather(args: argparse.Namespace) -> tuple[Cache, Choice, Composer]:
    """Return the pictures, which of them train and judge, and what makes samples of them."""
    sizes = SIZES[args.size]
    cache = Cache(args.cache) if args.cache else open_cache(args.data, args.work, unlabelled=args.unlabelled)
    choice = choose(cache, args.share, args.sources, args.hold_out, args.without)
    if len(choice.train) == 0:
        raise SystemExit("no picture is left to train on")
    if args.teacher:
        cache.add_pseudo(args.teacher)
    cutouts = None if args.no_paste else open_cutouts(cache, choice.train)
    members = [Member(cache, choice.train, 1.0 - RENDERED_PART * bool(args.rendered))]
    for folder in args.rendered:
        rendered = open_rendered(folder)
        everything = np.arange(len(rendered))
        members.append(Member(rendered, everything, RENDERED_PART / len(args.rendered)))
    return cache, choice, Composer(sizes, members, cutouts, args.seed)


class Run:
    """One training: its networks, where it stands, and its files."""

    def __init__(self, args: argparse.Namespace, pictures: int) -> None:
        self.args = args
        self.device = torch.device(args.device)
        torch.manual_seed(args.seed)
        detector = Detector(SIZES[args.size])
        if args.start:
            missing = load_weights(detector, args.start)
            print(f"started from {args.start}; {missing} tensors do not fit and start anew", flush=True)
        self.detector = detector.to(self.device, memory_format=torch.channels_last).train()
        self.average = copy.deepcopy(self.detector).eval()
        self.optimiser = make_optimiser(self.detector, args.rate)
        self.step, self.spent_s, self.best = 0, 0.0, -1.0
        self.steps: int | None = args.steps
        if args.epochs is not None:
            self.steps = max(1, round(args.epochs * pictures / args.batch))
        half = half_precision(self.device) if args.precision == "auto" else args.precision == "bf16"
        self.precision = torch.bfloat16 if half else torch.float32
        args.out.mkdir(parents=True, exist_ok=True)
        if args.resume and (args.out / "last.pt").exists():
            self.load(args.out / "last.pt")

    @property
    def share(self) -> float:
        """How much of the training is done, 0..1."""
        if self.steps is not None:
            return self.step / self.steps
        return min(1.0, self.spent_s / (60 * self.args.minutes))

    def learn(self, batch: Batch) -> dict[str, Tensor]:
        """Take one step and return the parts of the loss."""
        planes, labels, known = (part.to(self.device, non_blocking=True) for part in batch)
        rate = rate_at(self.share, self.step, self.args.rate)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            raw, boxes = self.detector(planes)
        value, parts = loss(raw, boxes, self.detector, labels, known)
        self.optimiser.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.detector.parameters(), 10.0)
        self.optimiser.step()
        follow(self.average, self.detector, keep_at(self.step))
        self.step += 1
        return {"loss": value.detach(), **parts}

    def save(self) -> None:
        """Write the checkpoint."""
        state = {
            "detector": self.detector.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent_s": self.spent_s,
            "best": self.best,
            "size": self.args.size,
        }
        save_safely(state, self.args.out / "last.pt")

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["size"] != self.args.size:
            raise SystemExit(f"{path} holds a network of size {state['size']!r}, not {self.args.size!r}")
        self.detector.load_state_dict(state["detector"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.spent_s, self.best = state["step"], state["spent_s"], state["best"]
        print(f"resumed at step {self.step}, after {self.spent_s / 60:.1f} minutes", flush=True)

    def log(self, **values: Any) -> None:
        """Append a line to the log."""
        with (self.args.out / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": self.step, "share": round(self.share, 4), **values}) + "\n")


def assess(run: Run, cache: Cache, choice: Choice) -> float:
    """Log the average precision of the averaged weights on the pictures set aside and keep the best weights."""
    figures = judge(run.average, cache, choice.val, run.precision)
    run.log(judged=figures)
    if figures["ap50"] > run.best:
        run.best = figures["ap50"]
        save_safely(run.average.state_dict(), run.args.out / "best.pt")
    return figures["ap50"]


def train(run: Run, feed: Iterator[Batch], cache: Cache, choice: Choice, share: Tensor) -> None:
    """Train to the end, saving and judging in between."""
    saved_s = judged_s = last_s = time.monotonic()
    sums: dict[str, Tensor] = {}
    count, ap50 = 0, float("nan")
    columns = (BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(TextColumn("{task.description}"), *columns) as bar:
        task = bar.add_task("training", total=1.0, completed=run.share)
        while run.share < 1.0:
            parts = run.learn(next(feed))
            # A machine that was stopped for a while has not trained meanwhile.
            run.spent_s += min(time.monotonic() - last_s, STALL_S)
            last_s = time.monotonic()
            share[0] = run.share
            sums = {name: value + sums.get(name, 0.0) for name, value in parts.items()}
            count += 1
            if run.step % LOG_STEPS == 0 or run.share >= 1.0:
                means = {name: round(float(value) / count, 4) for name, value in sums.items()}
                rate = run.optimiser.param_groups[0]["lr"]
                run.log(**means, rate=round(rate, 7), minutes=round(run.spent_s / 60, 2))
                said = f"step {run.step} loss {means['loss']:.3f} AP50 {ap50:.3f}"
                bar.update(task, completed=run.share, description=said)
                sums, count = {}, 0
            now = time.monotonic()
            if now - saved_s > 60 * run.args.save_minutes:
                run.save()
                saved_s = now
            if run.args.judge_minutes and now - judged_s > 60 * run.args.judge_minutes and run.share < 1.0:
                ap50 = assess(run, cache, choice)
                judged_s = time.monotonic()
    run.save()


def main(words: list[str] | None = None) -> None:
    """Prepare what is missing, train, judge."""
    args = parse(words)
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    cv2.setNumThreads(1)
    cache, choice, composer = gather(args)
    run = Run(args, len(choice.train))
    told = {name: str(value) for name, value in vars(args).items()}
    run.log(begun=told, train=len(choice.train), val=len(choice.val), precision=str(run.precision))
    share = torch.tensor([run.share]).share_memory_()
    total = None if run.steps is None else run.steps * args.batch
    feed = batches(composer, args.batch, run.step, args.workers, total, share, run.device.type == "cuda")
    train(run, feed, cache, choice, share)
    save_safely(run.average.state_dict(), args.out / "final.pt")
    if len(choice.val):
        print(f"vehicles on {len(choice.val)} pictures set aside: AP50 {assess(run, cache, choice):.3f}")
    print(f"wrote {args.out / 'final.pt'} after {run.step} steps")


if __name__ == "__main__":
    main()
