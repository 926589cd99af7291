"""One table of parameters: closed, checked, and the same to everyone who reads it."""

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afmd.domain.params import PARAMETERS, Params, Preset
from afmd.errors import InvalidInput


def value_of(name: str) -> st.SearchStrategy:
    parameter = PARAMETERS[name]
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    if isinstance(parameter.best, bool):
        return st.booleans()
    if isinstance(parameter.best, int):
        return st.integers(int(parameter.low), int(parameter.high))
    if isinstance(parameter.best, float):
        return st.floats(parameter.low, parameter.high)
    return st.just(parameter.best)


OVERRIDES = st.fixed_dictionaries({}, optional={name: value_of(name) for name in PARAMETERS})


def test_every_parameter_of_the_table_can_be_read_with_its_type():
    names = [name for name in Params.__annotations__ if name != "preset"]

    assert names == list(PARAMETERS)
    for preset in Preset:
        for name in names:
            assert type(getattr(Params(preset), name)) is type(PARAMETERS[name].best)


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_defaults_of_both_presets_are_allowed(name):
    parameter = PARAMETERS[name]

    assert parameter.checked(parameter.published) == parameter.published
    assert parameter.checked(parameter.best) == parameter.best


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_says_what_it_means_and_every_number_which_way_to_turn_it(name):
    parameter = PARAMETERS[name]

    assert parameter.meaning
    if parameter.low is not None:
        assert parameter.low < parameter.high
        assert parameter.unit
        assert parameter.raise_when
        assert parameter.lower_when


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_value_of_another_kind_or_out_of_range_names_its_parameter(name):
    parameter = PARAMETERS[name]
    bad: list[object] = [None, [], b"x"]
    bad += [float("nan"), float("inf"), parameter.high + 1, parameter.low - 1] if parameter.low is not None else []
    bad += ["no such word"] if parameter.choices else []
    for value in bad:
        with pytest.raises(InvalidInput) as refused:
            Params(**{name: value})
        assert refused.value.field == name


def test_an_unknown_preset_or_parameter_is_refused():
    with pytest.raises(InvalidInput, match="preset"):
        Params("worst")
    with pytest.raises(InvalidInput, match="Use one of thr, win"):
        Params(threshold=0.4)


@given(st.sampled_from(Preset), OVERRIDES)
def test_parameters_survive_every_way_of_passing_them_on(preset, overrides):
    params = Params(preset, **overrides)

    again = [pickle.loads(pickle.dumps(params)), copy.deepcopy(params), eval(repr(params), {"Params": Params})]
    given_as_json = json.loads(json.dumps(params.as_dict()))

    assert all(other == params and hash(other) == hash(params) for other in again)
    assert Params(given_as_json.pop("preset"), **given_as_json) == params
    assert {**Params(preset).as_dict(), **overrides} == params.as_dict()


def test_parameters_cannot_be_changed():
    with pytest.raises(AttributeError, match="immutable"):
        Params().thr = 0.1
    with pytest.raises(AttributeError):
        _ = Params().threshold
