"""Which epoch a batch counts as, under the ways in which Keras draws batches."""

from synthtf.data.epoch_counter import EpochCounter


def numbers(counter, indices, length=5):
    return [counter.draw(i) * length + i for i in indices]


def test_an_index_is_pure_until_an_epoch_ends():
    counter = EpochCounter(3)
    assert numbers(counter, [0, 1, 0, 4]) == [15, 16, 15, 19]


def test_whole_passes_count_the_epochs_that_ended():
    counter = EpochCounter()
    counter.end()  # `fit` does so before its first epoch
    for epoch in (1, 2, 3):
        assert numbers(counter, range(5)) == [5 * epoch + i for i in range(5)]
        counter.end()


def test_batches_that_built_the_model_change_nothing():
    counter = EpochCounter()
    counter.draw(0)
    counter.draw(1)
    counter.end()
    assert numbers(counter, range(5)) == [5, 6, 7, 8, 9]


def test_a_pass_that_spans_epochs_keeps_its_numbers_however_far_threads_run_ahead():
    seen = []
    for ahead in (0, 1, 3):
        counter = EpochCounter()
        counter.end()
        drawn, run = 0, []
        for epoch in range(5):  # two steps each, of passes of five batches
            goal = min(2 * (epoch + 1) + ahead, 5 * (drawn // 5 + 1))
            while drawn < max(goal, 2 * (epoch + 1)):
                run.append(counter.draw(drawn % 5) * 5 + drawn % 5)
                drawn += 1
            counter.end()
        assert len(set(run)) == len(run)
        seen.append(run[:10])
    assert all(run[:5] == [5, 6, 7, 8, 9] for run in seen)


def test_shuffled_and_partial_passes_never_repeat():
    counter = EpochCounter()
    counter.end()
    run = []
    for order in ([3, 0, 2, 1, 4], [2, 4], [4, 0, 1], [0, 1, 2, 3, 4]):
        run += numbers(counter, order)
        counter.end()
    assert len(set(run)) == len(run)
