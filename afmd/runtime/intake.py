"""From a file in the capture folder to a settled scan in the workers' line.

Rule: the intake moves a scan from SEEN to SETTLED, DUPLICATE, REFUSED, FAILED or VANISHED, and brings back what may
be tried again; from SETTLED on a scan is the workers'. All that it remembers can be had again from folder and ledger,
so a restart loses nothing; and one bad file stops no other.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from afmd.domain.events import Entry, Event, Fingerprint, State
from afmd.domain.ports import Clock, Ledger
from afmd.domain.reconcile import Change, Difference, Known, reconcile
from afmd.domain.settle import Verdict
from afmd.errors import AfmdError, HistoryGone, LedgerError, LimitReached, StorageError, UnfinishedScan, WrongState
from afmd.files.capture import CaptureFolder, Content, Listing
from afmd.runtime import facts
from afmd.runtime.candidate import Candidate, Promise, Refusal
from afmd.runtime.resumption import give_up_further_repair, never_read
from afmd.telemetry.logs import error_fields, logger

MIB = 1024 * 1024
SEEN_AT_ONCE = 1000
"""Scans committed in one transaction when a full folder is first met."""

EVENTS_AT_ONCE = 1000
STILL_TO_FOLLOW = frozenset({State.SETTLED, State.READ, State.RESTORED, State.REPORTED, State.FAILED})
NO_REASON = dict.fromkeys(("reason", "what", "why", "mend", "retry"))
"""Makes the ledger forget why a scan once came to an end."""

TOO_LARGE = LimitReached("", why="", mend="").reason
NO_ORIGINAL = dict.fromkeys(("duplicate_of", "original_name"))

log = logger("runtime")


class Intake:
    """Compares the folder with the ledger, and hands settled scans to ``offer``.

    ``offer`` is told a scan_id and says whether there was room; if not, it is asked again. ``refusal`` says why the
    reader would refuse a file's bytes. Not safe from several
    threads at once. Every method raises ``LedgerError``, after which it may be called again.
    """

    def __init__(
        self,
        folder: CaptureFolder,
        *,
        ledger: Ledger,
        offer: Callable[[str], bool],
        promised_bytes: Promise,
        refusal: Refusal = lambda data, name: None,  # noqa: ARG005 - as the type has them
        clock: Clock,
    ) -> None:
        self.reachable = True
        self.last_error = ""
        self._folder = folder
        self._settings = folder.settings
        self._ledger = ledger
        self._offer = offer
        self._promised_bytes = promised_bytes
        self._refusal = refusal
        self._clock = clock
        self._known: dict[str, Known] = {}
        self._candidates: dict[str, Candidate] = {}
        self._handed: dict[str, str] = {}
        self._ready: deque[str] = deque()
        self._hidden: Mapping[str, str] = {}
        self._heard = 0
        self._first = True

    def resume(self) -> None:
        """Pick up what an earlier run left: call once, before anything else."""
        self._heard = self._ledger.revision()
        for entry in self._ledger.unfinished():
            if entry.state is State.SEEN:
                self._watch(entry.path, entry.scan_id, entry.fingerprint)
            elif not give_up_further_repair(self._ledger, entry):
                self._hand_over(entry.scan_id, entry.path)
        for entry in never_read(self._ledger):
            self._ledger.advance(entry.scan_id, State.SEEN, facts=NO_REASON)
            self._watch(entry.path, entry.scan_id, entry.fingerprint)

    def step(self, hinted: Collection[str] = ()) -> None:
        """Compare the whole folder with what is known; act on every difference, and look at every file that is due.

        ``hinted``: paths of files that are due because something was heard of them.
        """
        listing = self._listing()
        if listing is None:
            return
        self._recall(listing.files)
        self._hear_of_handed_over()
        self._act(reconcile(listing.files, self._known, hidden=listing.hidden), listing.files)
        self._adopt_orphans()
        self._judge({*hinted, *self._moved(listing.files)})
        self._first = False

    def glance(self, hinted: Collection[str] = ()) -> None:
        """Do the same for the hinted paths only, and look at every file that is due."""
        if not self.reachable:
            return
        files = {path: seen for path in hinted if (seen := self._seen(path))}
        self._recall(files)
        self._act(reconcile(files, {path: self._known[path] for path in files if path in self._known}), files)
        self._judge(files.keys())

    @property
    def next_look_s(self) -> float:
        """When a file will be due, in the clock's monotonic seconds, or infinity."""
        full = bool(self._ready)
        times = (c.next_look_s for c in self._candidates.values() if not (full and c.backlog))
        return min(times, default=float("inf"))

    def _listing(self) -> Listing | None:
        """Return what lies in the folder, or None where it cannot be reached; say so once."""
        try:
            listing = self._folder.listing()
        except StorageError as e:
            told, self.reachable, self.last_error = not self.reachable, False, str(e)
            if not told:
                log.error("capture.unreachable", **error_fields(e))
            return None
        told, self.reachable, self.last_error = self.reachable, True, ""
        if not told:
            log.info("capture.reachable", folder=str(self._settings.folder), files=len(listing.files))
        for path in listing.hidden.keys() - self._hidden.keys():
            log.warning("capture.unreadable", path=path, why=listing.hidden[path])
        self._hidden = listing.hidden
        return listing

    def _seen(self, path: str) -> Fingerprint | None:
        try:
            return self._folder.look(path)
        except StorageError:
            return None

    def _moved(self, files: Mapping[str, Fingerprint]) -> Iterator[str]:
        """Give every watched file that a listing shows otherwise than it was last seen."""
        return (path for path, c in self._candidates.items() if files.get(path, c.fingerprint) != c.fingerprint)

    def _recall(self, files: Mapping[str, Fingerprint]) -> None:
        """Learn from the ledger what it knows of paths that are new to this run."""
        for path in files.keys() - self._known.keys():
            entry = self._ledger.known(path)
            if entry is None or self._fits_now(entry):
                continue
            if entry.state is State.SEEN:
                self._watch(path, entry.scan_id, entry.fingerprint)
            else:
                self._known[path] = Known(entry.scan_id, entry.fingerprint, entry.state)

    def _fits_now(self, entry: Entry) -> bool:
        """True for a scan that was refused for its size when the limit was lower."""
        for_size = entry.state is State.REFUSED and entry.facts.get("reason") == TOO_LARGE
        return for_size and entry.fingerprint.size_bytes <= self._settings.max_file_mib * MIB

    def _hear_of_handed_over(self) -> None:
        """Learn how the workers' scans fared: the file of one that vanished may come back."""
        for event in self._events():
            path = self._handed.get(event.scan_id)
            known = self._known.get(path) if path else None
            if event.state is State.VANISHED and path and known and known.scan_id == event.scan_id:
                self._known[path] = replace(known, state=State.VANISHED)
            if event.state not in STILL_TO_FOLLOW:
                self._handed.pop(event.scan_id, None)

    def _events(self) -> Iterator[Event]:
        while True:
            try:
                page = self._ledger.after(self._heard, limit=EVENTS_AT_ONCE)
            except HistoryGone as gone:  # what was missed is learnt at the next start
                self._heard = gone.oldest - 1
                continue
            if not page:
                return
            yield from page
            self._heard = page[-1].revision

    def _act(self, differences: Sequence[Difference], files: Mapping[str, Fingerprint]) -> None:
        self._see([d.path for d in differences if d.change is Change.NEW], files)
        deeds = {
            Change.BACK: self._come_back,
            Change.REWRITTEN: self._rewritten,
            Change.TOUCHED: self._rewritten,
            Change.GONE: self._gone,
            Change.FORGOTTEN: self._forget,
        }
        for difference in differences:
            if difference.change in deeds:
                deeds[difference.change](difference.path)

    def _see(self, paths: Sequence[str], files: Mapping[str, Fingerprint]) -> None:
        for start in range(0, len(paths), SEEN_AT_ONCE):
            page = paths[start : start + SEEN_AT_ONCE]
            for path, event in zip(page, self._ledger.see_all([(p, files[p]) for p in page]), strict=True):
                self._watch(path, event.scan_id, files[path])

    def _watch(self, path: str, scan_id: str, fingerprint: Fingerprint) -> None:
        """Follow a file until it is finished. Without a scan_id, what is known of the path stays known."""
        candidate = Candidate(
            path, scan_id, folder=self._folder, promised_bytes=self._promised_bytes, backlog=self._first
        )
        candidate.listed(fingerprint, at_s=self._clock.monotonic())
        self._candidates[path] = candidate
        if scan_id:
            self._known[path] = Known(scan_id, fingerprint, State.SEEN)

    def _come_back(self, path: str) -> None:
        seen = self._seen(path)
        if seen:
            scan_id = self._known[path].scan_id
            self._ledger.advance(scan_id, State.SEEN, fingerprint=seen, facts=NO_REASON)
            self._watch(path, scan_id, seen)

    def _rewritten(self, path: str) -> None:
        """Take a file of another size for another scan; of one of another time, let the content decide.

        The file itself is asked first, for a listing may be behind.
        """
        seen, known = self._seen(path), self._known[path]
        if seen is None or seen == known.fingerprint:
            return
        if seen.size_bytes != known.fingerprint.size_bytes:
            self._see([path], {path: seen})
        elif path not in self._candidates:
            self._watch(path, "", seen)

    def _gone(self, path: str) -> None:
        """Give a file up that stays away: one that is being replaced is missing for a moment only."""
        candidate = self._candidates[path]
        if candidate.missing_for(at_s=self._clock.monotonic()) >= self._settings.settle_s:
            self._ledger.advance(
                candidate.scan_id, State.VANISHED, facts={"why": "the file went away before it was finished"}
            )
            self._forget(path)

    def _forget(self, path: str) -> None:
        self._known.pop(path, None)
        self._candidates.pop(path, None)

    def _adopt_orphans(self) -> None:
        """Let a duplicate take the place of an original that went away before it was read."""
        adopted: set[str] = set()
        for entry in self._ledger.orphans():
            known = self._known.get(entry.path)
            if known and known.scan_id == entry.scan_id and entry.sha256 not in adopted:
                adopted.add(entry.sha256)
                self._ledger.advance(entry.scan_id, State.SETTLED, facts=NO_ORIGINAL)
                self._known[entry.path] = replace(known, state=State.SETTLED)
                self._hand_over(entry.scan_id, entry.path)

    def _judge(self, hinted: Collection[str]) -> None:
        """Look at every file that is due or hinted at: what arrived in this run first, then the oldest file first.

        What lay there before waits for room in the line, so that a full folder is not read before it can be used.
        """
        now_s = self._clock.monotonic()
        due = [c for c in self._candidates.values() if c.next_look_s <= now_s or c.path in hinted]
        due.sort(key=lambda c: (c.backlog, c.fingerprint.mtime_ns, c.path))
        for candidate in due:
            self._offer_ready()
            if candidate.backlog and self._ready:
                break
            self._judge_one(candidate, now_s)
        self._offer_ready()

    def _judge_one(self, candidate: Candidate, now_s: float) -> None:
        try:
            verdict = candidate.look(at_s=now_s)
            if verdict is Verdict.STALLED:
                self._end(candidate, State.REFUSED, facts.of_error(self._why_stalled(candidate)))
            elif verdict is Verdict.FINISHED:
                self._finished(candidate)
        except LedgerError:
            raise
        except StorageError as e:
            if candidate.unreadable_for(at_s=now_s) >= self._settings.stalled_s:
                self._unreadable(candidate, e)
        except WrongState as e:  # the ledger knows better: forget the file, and learn anew what is known of it
            log.warning("intake.overtaken", path=candidate.path, **error_fields(e))
            self._forget(candidate.path)
        except Exception as e:  # a defect of ours, which must not keep other files from being taken in
            log.error("intake.broke", path=candidate.path, exc_info=e)
            self._end(candidate, State.FAILED, {**facts.of_error(e), "retry": False})

    def _why_stalled(self, candidate: Candidate) -> AfmdError:
        """Return the reader's reason where it knows a truer one than that something is missing."""
        told, size = candidate.stalled(), candidate.fingerprint.size_bytes
        if size > self._settings.max_file_mib * MIB:
            return told
        known = self._refusal(self._folder.head(candidate.path, size), candidate.path)
        return told if known is None or isinstance(known, UnfinishedScan) else known

    def _finished(self, candidate: Candidate) -> None:
        if candidate.fingerprint.size_bytes > self._settings.max_file_mib * MIB:
            self._end(candidate, State.REFUSED, facts.of_error(candidate.too_large()))
            return
        content = self._folder.content(candidate.path)
        if content.fingerprint != candidate.fingerprint:
            candidate.next_look_s = self._clock.monotonic()
        elif not candidate.scan_id and self._only_touched(candidate, content):
            del self._candidates[candidate.path]
        else:
            self._settle(candidate, content)

    def _only_touched(self, candidate: Candidate, content: Content) -> bool:
        """True where a file of another time has the content it had; then its new time is remembered."""
        known = self._known[candidate.path]
        if self._ledger.entry(known.scan_id).sha256 != content.sha256:
            return False
        self._ledger.touch(known.scan_id, content.fingerprint)
        self._known[candidate.path] = replace(known, fingerprint=content.fingerprint)
        return True

    def _settle(self, candidate: Candidate, content: Content) -> None:
        original = self._ledger.holder(content.sha256)
        if original:
            whose = {"duplicate_of": original.scan_id, "original_name": original.name}
            self._end(candidate, State.DUPLICATE, whose, sha256=content.sha256)
        else:
            self._end(candidate, State.SETTLED, {}, sha256=content.sha256)
            self._hand_over(candidate.scan_id, candidate.path)

    def _end(self, candidate: Candidate, state: State, learnt: Mapping[str, Any], *, sha256: str | None = None) -> None:
        """Commit what became of a file, and watch it no more."""
        path, seen = candidate.path, candidate.fingerprint
        if not candidate.scan_id:
            candidate.scan_id = self._ledger.see(path, seen).scan_id
        self._ledger.advance(candidate.scan_id, state, facts=learnt, fingerprint=seen, sha256=sha256)
        self._known[path] = Known(candidate.scan_id, seen, state)
        self._candidates.pop(path, None)

    def _unreadable(self, candidate: Candidate, error: StorageError) -> None:
        tries = 1
        if candidate.scan_id:
            tries += int(self._ledger.entry(candidate.scan_id).facts.get("retries", 0))
        self._end(candidate, State.FAILED, {**facts.of_error(error), "retry": True, "retries": tries})

    def _hand_over(self, scan_id: str, path: str) -> None:
        self._handed[scan_id] = path
        self._ready.append(scan_id)

    def _offer_ready(self) -> None:
        while self._ready and self._offer(self._ready[0]):
            self._ready.popleft()
