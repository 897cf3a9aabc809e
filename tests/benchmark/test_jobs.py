"""What there is to time: workloads, growth and headlines."""

from __future__ import annotations

from layerlaws import catalogue
from layerlaws.benchmark.jobs import Contender, at_hand, cost_of, format_of, jobs_of, workload_of, workloads_of


def test_jobs_hold_every_workload_in_both_modes_and_both_sides_of_headlines() -> None:
    jobs = jobs_of(catalogue().notes, ["numpy", "tokenizers"])
    workloads = [workload for note in catalogue().notes for workload in note.workloads]
    for workload in workloads:
        own = [j for j in jobs if j.purpose == "workload" and j.contenders[0].workload == workload.name]
        assert [job.mode for job in own] == ["forward", "gradient"][: 1 + workload.gradient]
        assert all([c.backend for c in job.contenders] == ["numpy", "tokenizers"] for job in own)
    for note in catalogue().notes:
        for headline in note.headlines:
            pairs = [job for job in jobs if job.headline == headline.claim]
            assert len(pairs) == 2
            assert [c.workload for c in pairs[0].contenders] == [headline.fast.name, headline.slow.name]
            assert len({c.backend for c in pairs[0].contenders}) == 1


def test_a_quick_run_has_no_more_to_do_than_a_whole_one() -> None:
    for note in catalogue().notes:
        for workload in workloads_of(note):
            small = at_hand(workload)
            assert small.sizes.keys() == workload.sizes.keys()
            for mode in ("forward", "gradient"):
                one, other = cost_of(small, mode), cost_of(workload, mode)
                assert 0 <= one.flops <= other.flops
                assert 0 <= one.moved <= other.moved
                assert 0 <= one.text <= other.text


def test_names_of_workloads_are_unique() -> None:
    names = [w.name for note in catalogue().notes for w in dict.fromkeys(workloads_of(note))]
    twice = {name for name in names if names.count(name) > 1}
    sizes = {name: [w for note in catalogue().notes for w in note.workloads if w.name == name] for name in twice}
    assert all(len(own) <= 1 for own in sizes.values())
    tiny = {"B": 2, "T": 3, "D": 4, "F": 5}
    made = workload_of(Contender("numpy", "transformer_feed_forward", tuple(tiny.items())), catalogue())
    assert made.sizes == tiny
    assert made.operation.name == "feed_forward"


def test_backends_are_timed_in_float32_if_they_have_it() -> None:
    assert format_of(["float64", "float32"]).name == "float32"
    assert format_of(["float16", "float64"]).name == "float16"
