"""A fake Dask client whose workers fail on cue."""

import pickle
from typing import Any

from vecprop.scale.cluster import machine


class KilledWorker(Exception):
    """The exception of a task whose workers died, like that of Dask."""

    allowed_failures = 3

    def __init__(self, address="tcp://a"):
        super().__init__(f"{address} has died")
        self.last_worker = type("Worker", (), {"address": address})


class Future:
    """A finished task."""

    def __init__(self, status="finished", result: Any = None):
        self.status, self.value = status, result

    def add_done_callback(self, call):
        call(self)

    def exception(self):
        return self.value

    def result(self):
        return self.value


class FakeClient:
    """A client whose tasks end at once, each by the next cue.

    A cue is "done"; "lost" for a task whose data have died with their last worker, and
    the tasks after it; "gone" for a result that has died with its worker; "running" for
    a task that does not end; "unlike" for a worker that came later; or an error that
    the task raises. When there are no more, all are done.
    """

    scheduler = type("Scheduler", (), {"address": "tcp://scheduler:8786"})

    def __init__(self, *cues: Any, threads: Any = None, there: Any = None, events=()):
        self.cues, self.threads, self.events = (
            list(cues),
            threads or {"tcp://a": 1, "tcp://b": 2},
            events,
        )
        self.earlier = ((0.0, {"worker": "tcp://a"}),)
        self.there = dict.fromkeys(self.threads, machine()) | (there or {})
        self.calls: list[str] = []
        self.given: list[dict[str, Any]] = []

    def nthreads(self):
        return self.threads

    def submit(self, function, **options):
        self.calls.append("submit")
        return Future()

    def run(self, function, *arguments, on_error="raise"):
        self.calls.append(f"run {function.__name__}")
        if function is machine:
            return dict(self.there)
        pickle.loads(pickle.dumps(function))(*arguments)
        return None

    def scatter(self, each, broadcast, hash):
        self.calls.append("scatter")
        return [Future(result=pickle.loads(pickle.dumps(value))) for value in each]

    def map(self, func, bundles, *, data, pure, workers=None, **options):
        self.calls.append("map")
        self.given.append({"bundles": len(bundles), "workers": workers, **options})
        futures, lost = [], False
        for bundle in bundles:
            cue = self.cues.pop(0) if self.cues and not lost else "done"
            lost |= isinstance(cue, str) and cue == "lost"
            if lost:
                futures.append(Future("cancelled"))
            elif cue == "running":
                futures.append(Future("pending"))
            elif isinstance(cue, BaseException):
                futures.append(Future("error", cue))
            else:
                own, arguments = pickle.loads(pickle.dumps((func, options)))
                if cue == "unlike":
                    self.there["tcp://c"] = machine() | {"NumPy": "0.1"}
                    self.threads = {**self.threads, "tcp://c": 1}
                    arguments["environment"] = {
                        **arguments["environment"],
                        "NumPy": "another",
                    }
                result = own(
                    pickle.loads(pickle.dumps(bundle)), data=data.value, **arguments
                )
                futures.append(
                    Future(
                        result=None
                        if cue == "gone"
                        else pickle.loads(pickle.dumps(result))
                    )
                )
        return futures

    def gather(self, futures, errors):
        return {place: future.value for place, future in futures.items()}

    def cancel(self, futures):
        self.calls.append(f"cancel {len(futures)}")

    def get_events(self, topic):
        assert topic == "worker-restart-memory"
        return self.earlier + (tuple(self.events) if self.given else ())
