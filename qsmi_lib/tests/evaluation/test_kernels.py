"""The kernels: the same result however the work is divided, in bounded memory, and on every device."""

import importlib.util
import os
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from qsmi_lib.evaluation import evaluate, metrics, numba_ranking, packing, validation
from qsmi_lib.tests.evaluation.cases import KINDS, TOY, Case, assert_close, assert_same, close, random_case
from qsmi_lib.utils import arrays


@pytest.mark.parametrize(("kind", "rule"), KINDS)
def test_chunks_change_nothing(monkeypatch, kind, rule):
    case = random_case(6, 12, kind, n_query=9)
    whole, threads = evaluate(*case, k=[2, 7], relevance=rule), numba_ranking.n_threads()
    for name, module, values in [
        ("CHUNK_BYTES", metrics, (1, 64 * 15 * 5)),  # one query at a time, a few
        ("CHUNK_PAIRS", metrics, (1, 24 * 5)),
        ("NOTES_BYTES", numba_ranking, (8 * threads, 40 * threads)),  # one item a segment, five
        ("ROOM", packing, (1, 16 * 5)),
        ("TOGETHER", numba_ranking, (1, 2)),
        ("BLOCK_BYTES", arrays, (1, 200)),
    ]:
        for value in values:
            with monkeypatch.context() as patch:
                patch.setattr(module, name, value)
                assert_close(evaluate(*case, k=[2, 7], relevance=rule), whole)


def test_codes_longer_than_int8_counts_do_not_overflow():
    code = np.ones((1, 200), np.int8)
    result = evaluate(code, np.concatenate([-code, code]), [1], [0, 1])
    assert result.map == 1
    assert result.precision_recall_by_radius[[0, 199, 200]].tolist() == [[1, 1], [1, 1], [0.5, 1]]


def test_memory_beyond_the_inputs_stays_small():
    """Each case would need more than its limit if a chunk, a block or the notes were not limited."""
    many = np.ones((2_000_000, 8), np.int8), np.zeros(2_000_000, int)  # all relevant: many notes
    long = np.ones((20_000, 1024), np.int8), np.zeros(20_000, int)  # many and long histograms
    evaluate(long[0][:9], long[0][:9], long[1][:9], long[1][:9])  # compiled before memory is measured
    for n_query, queries, database in ((2, many, many), (20, many, many), (20, long, long), (20_000, long, long)):
        n_database = 10 if n_query > 20 else None
        tracemalloc.start()
        evaluate(queries[0][:n_query], database[0][:n_database], queries[1][:n_query], database[1][:n_database])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 250e6


def test_a_database_too_large_to_keep_is_packed_part_by_part():
    codes = np.broadcast_to(np.ones((1, 1024), np.int8), (10_000_000, 1024))  # 1.3 GB packed, next to nothing here
    segments = packing.Segments(codes, np.zeros(10_000_000, np.int8), torch.device("cpu"))
    first = next(iter(segments))
    assert len(segments) > 1
    assert 8 * (first.codes.numel() + first.labels.numel()) <= packing.ROOM


def test_ten_million_equal_terms_keep_twelve_digits():
    """Every third item is relevant, all are tied, and every precision is 1/3: naive sums drift by 1e-11."""
    codes, labels = np.ones((10_000_000, 1), np.int8), np.arange(10_000_000, dtype=np.int32) % 3
    close(evaluate(codes[:1], codes, [2], labels, k=9_999_999).map, 1 / 3, "map")


def test_labels_far_apart_are_not_counted():
    case = TOY._replace(query_labels=np.array([2**60]), database_labels=TOY.database_labels * 2**60)
    assert evaluate(*case).map == evaluate(*TOY).map


def test_calls_from_several_threads():
    cases = [random_case(seed, 12, "single", n_query=20, n_database=500) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda case: evaluate(*case), cases))
    for case, result in zip(cases, together, strict=True):
        assert_same(evaluate(*case), result)


def test_packing_in_torch_keeps_distances():
    for bits in (1, 63, 64, 65, 200):
        codes = random_case(bits, bits, "single").database_codes
        labels = torch.zeros(len(codes), dtype=torch.int64)
        words = packing.packed(torch.from_numpy(codes), labels, torch.device("cpu")).codes.numpy()
        octets = (words[:, :, None] ^ words[:, None, :]).view(np.uint8).reshape(-1, *[len(codes)] * 2, 8)
        distances = np.unpackbits(octets, axis=3).sum(axis=(0, 3))
        np.testing.assert_array_equal(distances, (codes[:, None] != codes).sum(axis=2))


# On a GPU; where there is none, the kernels run in Triton's interpreter (see conftest)

needs_triton = pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="no Triton on this machine")


@pytest.fixture
def triton_ranking(monkeypatch):
    """The kernels of a GPU in place of the CPU's, on a GPU if there is one."""
    from qsmi_lib.evaluation import triton_ranking

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setattr(metrics, "_kernels", lambda _: (triton_ranking, device))
    monkeypatch.setattr(validation, "_near", lambda array, _device: torch.as_tensor(array, device=device))
    return triton_ranking


@needs_triton
@pytest.mark.parametrize(("kind", "rule"), KINDS)
def test_triton_equals_numba(request, kind, rule):
    cases = [random_case(bits, bits, kind, n_query=4, n_database=150, n_label=70) for bits in (1, 64, 65, 200)]
    expected = [evaluate(*case, k=[1, 4, 150], relevance=rule, device="cpu") for case in cases]
    request.getfixturevalue("triton_ranking")
    for case, result in zip(cases, expected, strict=True):
        assert_close(evaluate(*case, k=[1, 4, 150], relevance=rule), result)


@needs_triton
@pytest.mark.parametrize("kind", ["single", "multi"])
def test_triton_takes_tensors_of_any_stride(request, kind):
    case = random_case(3, 12, kind, n_query=4, n_database=90)
    expected = evaluate(*case, k=5)
    request.getfixturevalue("triton_ranking")
    wide = [torch.from_numpy(part).repeat_interleave(2, dim=0)[::2] for part in case]
    assert_close(evaluate(*wide, k=5), expected)


@needs_triton
@pytest.mark.parametrize("codes", [torch.ones((1, 12), dtype=torch.uint8) * 255, torch.ones((1, 12), dtype=torch.bool)])
def test_unsigned_tensors_are_no_codes(triton_ranking, codes):
    with pytest.raises(ValueError, match=r"query_codes must be floating or signed integers, -1 and \+1, got torch"):
        evaluate(**TOY._asdict() | {"query_codes": codes})


@needs_triton
def test_triton_ranks_beyond_16_bits(request, monkeypatch):
    rng = np.random.default_rng(0)
    case = Case(*(rng.choice([-1, 1], (n, 8)) for n in (1, 70_000)), np.array([1]), rng.integers(4, size=70_000))
    expected = evaluate(*case, k=[65_536, 70_000], device="cpu")
    kernels = request.getfixturevalue("triton_ranking")
    if not torch.cuda.is_available():  # larger steps, or the interpreter takes minutes
        monkeypatch.setattr(kernels, "PLACED", 1024)
        monkeypatch.setattr(kernels, "COUNTED", 16_384)
    result = evaluate(*case, k=[65_536, 70_000])
    assert_close(result, expected)


@needs_triton
@pytest.mark.parametrize(("kind", "rule"), KINDS)
def test_parts_change_nothing_in_triton(monkeypatch, triton_ranking, kind, rule):
    case = random_case(6, 12, kind, n_query=5, n_database=90)
    whole = evaluate(*case, k=[2, 7], relevance=rule)
    for name, module, value in [
        ("CHUNK_BYTES", metrics, 1),
        ("SHORTEST", triton_ranking, 40),
        ("ROOM", packing, 16 * 50),
        ("SLOTS", triton_ranking, 1),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            assert_close(evaluate(*case, k=[2, 7], relevance=rule), whole)


COMPILE = """
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from qsmi_lib.evaluation import triton_ranking
pointers = dict.fromkeys(["query_codes", "query_labels", "codes", "labels", "before"], "*i64")
pointers |= dict.fromkeys(["counts", "ranks", "gains"], "*i32")
for kernel, block, warps in [(triton_ranking._count, 1024, 4), (triton_ranking._place, 32, 1)]:
    for rule in range(3):
        constants = {"code_words": 2, "label_words": 2, "rule": rule, "block": block}
        kinds = {name: "constexpr" if name in constants else pointers.get(name, "i32") for name in kernel.arg_names}
        source = ASTSource(kernel, kinds, constants)
        options = {"num_warps": warps, "enable_fp_fusion": False}
        binary = compile(source, target=GPUTarget("cuda", 90, 32), options=options)
        assert "popc" in binary.asm["ptx"] and binary.asm["cubin"]
"""


@needs_triton
def test_kernels_compile_for_a_gpu(tmp_path):
    """The interpreter forgives what a compiler does not; compiling needs no GPU."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", COMPILE], check=True, env=environment)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize(("kind", "rule"), KINDS)
@pytest.mark.parametrize("bits", [12, 200])
def test_cuda_equals_the_cpu(bits, kind, rule):
    case = random_case(bits, bits, kind, n_query=50, n_database=5000)
    expected = evaluate(*case, k=[3, 100], relevance=rule)
    on_device = [torch.from_numpy(part).cuda() for part in case]
    for result in (
        evaluate(*on_device, k=[3, 100], relevance=rule),
        evaluate(*case, k=[3, 100], relevance=rule, device="cuda"),
        evaluate(*on_device, k=[3, 100], relevance=rule, device="cpu"),
    ):
        assert_close(result, expected)
