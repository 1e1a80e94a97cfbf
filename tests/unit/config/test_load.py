"""Settings from text: every mistake names its place, and what is written is read back."""

from dataclasses import fields, is_dataclass, replace

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ushape.config import schema
from ushape.config.load import (
    check_config,
    check_key,
    check_value,
    config_tree,
    known_keys,
    load_config,
    read_assignments,
    read_settings,
    write_config,
)
from ushape.config.schema import (
    AugmentConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    PatchConfig,
    PreprocessConfig,
    RunConfig,
    ScheduleConfig,
    TilingConfig,
    TrainConfig,
)
from ushape.errors import ConfigError

CONFIG = RunConfig(
    data=DataConfig("some/data", "24-29", {"classes": [{"name": "cell # 1", "value": 0}]}),
    model=ModelConfig("unet_padding", 1, 1, {"width": 8, "widths": None, "up": "transposed"}),
    preprocess=PreprocessConfig(1),
    patch=PatchConfig((64, 96), 4),
    augment=AugmentConfig(scale_range=1.5),
    loss="dice + 10*bce(weight=auto)",
    optimizer=OptimizerConfig(learning_rate=1e-5),
    schedule=ScheduleConfig(steps=10),
    train=TrainConfig(seed=3),
    tiling=TilingConfig((128, 128)),
)


def tree_with(key, value):
    tree = config_tree(CONFIG)
    section, dot, name = key.partition(".")
    if dot:
        tree[section][name] = value
    else:
        tree[section] = value
    return tree


def fails(action, *parts):
    with pytest.raises(ConfigError) as caught:
        action()
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- keys


def test_every_field_of_every_section_is_a_key():
    sections = [getattr(CONFIG, field.name) for field in fields(RunConfig)]
    wanted = {"loss", "balance"} | {
        f"{section.name}.{field.name}"
        for section, value in zip(fields(RunConfig), sections, strict=True)
        if is_dataclass(value)
        for field in fields(value)
    }
    assert set(known_keys()) == wanted
    assert len(known_keys()) == len(wanted)
    for key in wanted:
        check_key(key)


def test_options_of_networks_are_free():
    check_key("model.options.widht")  # refused where the network is made


def test_a_part_of_a_setting_is_no_setting():
    """It would be ignored without a word."""
    fails(lambda: check_key("data.labels.classes"), "unknown setting", "data.labels")
    fails(lambda: read_assignments(["patch.size.0=64"]), "unknown setting", "patch.size")


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("lr", "'optimizer.learning_rate'?"),
        ("learning_rate", "'optimizer.learning_rate'?"),
        ("optimizer.lr", "'optimizer.learning_rate'?"),
        ("optimiser.learning_rate", "'optimizer.learning_rate'?"),
        ("optimizer.learning_rte", "'optimizer.learning_rate'?"),
        ("wd", "'optimizer.weight_decay'?"),
        ("seed", "'train.seed'?"),
        ("patches.batch", "'patch.batch'?"),
        ("tilings.batch", "'tiling.batch'?"),
        ("batch", "'patch.batch' or 'tiling.batch'?"),
        ("patch.sze", "'patch.size'?"),
        ("losss", "'loss' or 'lines.loss' or 'fine.loss'?"),
        ("model.opts", "'model.options'"),
    ],
)
def test_an_unknown_key_is_refused_with_the_one_that_is_meant(key, meant):
    fails(lambda: check_key(key), f"unknown setting {key!r}", "did you mean", meant)


def test_a_key_like_no_other_gets_the_list():
    fails(lambda: check_key("zzz.qqq"), "optimizer", "schedule", "loss")
    fails(lambda: check_key("tiling.qqq"), "tiling.tile_size", "tiling.mirror")


# ---------------------------------------------------------------- --set


def test_assignments_are_yaml_in_the_type_of_the_setting():
    given_text = [
        "patch.size=[64, 96]",
        "optimizer.learning_rate=1e-3",  # a text in YAML
        " augment.flip =no",
        "schedule.steps=",
        "loss=dice + 10*bce(weight=auto)",
        "model.options.widths=[8, 16, 32]",
    ]
    assert read_assignments(given_text) == {
        "patch.size": (64, 96),
        "optimizer.learning_rate": 0.001,
        "augment.flip": False,
        "schedule.steps": None,
        "loss": "dice + 10*bce(weight=auto)",
        "model.options.widths": [8, 16, 32],
    }
    assert read_assignments(["patch.batch=2", "patch.batch=3"]) == {"patch.batch": 3}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("patch.batch", "write key=value, such as patch.batch=8"),
        ("=8", "write key=value"),
        ("patch.batch={a: [", "not valid YAML"),
        ("patches.batch=8", "did you mean 'patch.batch'?"),
        ("patch.batch=many", "patch.batch = 'many'"),
        ("patch.size=256", "patch.size = 256"),
        ("patch.size=[0, 64]", "patch.size = 0: input should be greater than or equal to 1"),
        ("patch.size=[64]", "patch.size"),
    ],
)
def test_wrong_assignments(text, says):
    fails(lambda: read_assignments([text]), "--set" if "patches" not in text else "", says)


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("patch.batch", 0, "= 0: input should be greater than or equal to 1"),
        ("patch.batch", 2.5, "= 2.5: input should be a valid integer"),
        ("patch.size", [64], "at least 2 items"),
        ("train.seed", -1, "greater than or equal to 0"),
        ("train.seed", 2**31, "less than or equal to 2147483647"),
        ("train.precision", "16", "'32-true' or 'bf16-mixed'"),
        ("optimizer.name", "adam", "'adamw' or 'sgd'"),
        ("optimizer.learning_rate", 0, "greater than 0"),
        ("optimizer.learning_rate", float("nan"), "finite number"),
        ("augment.rotation_probability", 1.01, "less than or equal to 1"),
        ("augment.flip", 3, "valid boolean"),
        ("augment.scale_range", 0.9, "greater than or equal to 1"),
        ("tiling.overlap_fraction", 0.8, "less than or equal to 0.75"),
        ("schedule.budget_s", "10m", "= '10m': input should be a valid number"),
        ("loss", 5, "= 5: input should be a valid string"),
    ],
)
def test_a_wrong_value_names_its_key_and_what_is_allowed(key, value, says):
    fails(lambda: check_config(tree_with(key, value), place="a.yaml"), f"a.yaml: {key}", says)
    fails(lambda: check_value(key, value, place="a.yaml"), f"a.yaml: {key}", says)


def test_a_missing_setting_is_named():
    tree = config_tree(CONFIG)
    del tree["model"]["classes"]
    fails(lambda: check_config(tree), "the setting model.classes is missing")
    del tree["loss"]
    del tree["model"]
    fails(lambda: check_config(tree), "is missing")


def test_a_section_that_is_none():
    fails(lambda: check_config(tree_with("patch", 5), place="a.yaml"), "a.yaml: patch = 5")


def test_an_unknown_key_in_a_complete_file_names_the_file_too():
    tree = tree_with("optimizer.lr", 1)
    fails(lambda: check_config(tree, place="a.yaml"), "a.yaml: unknown", "optimizer.learning_rate")
    tree = tree_with("los", "dice")
    fails(lambda: check_config(tree, place="a.yaml"), "a.yaml: unknown setting 'los'", "'loss'")


@pytest.mark.parametrize("changes", [{"budget_s": 60.0}, {"steps": None}])
def test_exactly_one_of_steps_and_budget(changes):
    tree = config_tree(replace(CONFIG, schedule=replace(CONFIG.schedule, **changes)))
    fails(lambda: check_config(tree), "schedule.budget_s", "schedule.steps")


HU = [[-160, 240, 40, 60]]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"normalise": "ct"}, "of each of the 1 channel(s), not of 0"),
        ({"normalise": "ct", "intensity": HU * 2}, "of each of the 1 channel(s), not of 2"),
        ({"normalise": "ct", "intensity": [[240, -160, 40, 60]]}, "clips to 240 .. -160"),
    ],
)
def test_ct_needs_numbers_for_every_channel(changes, says):
    tree = config_tree(CONFIG)
    tree["preprocess"] |= changes
    fails(lambda: check_config(tree, place="a.yaml"), "a.yaml: preprocess.", says)
    tree["preprocess"] |= {"normalise": "ct", "intensity": HU}
    assert check_config(tree).preprocess.intensity == ((-160, 240, 40, 60),)


# ---------------------------------------------------------------- files


def test_written_settings_are_read_back(tmp_path):
    path = tmp_path / "config.yaml"
    write_config(path, CONFIG, {"patch.size": "a reason"})
    assert load_config(path) == CONFIG
    assert path.read_text(encoding="utf-8").count("#") >= 2


def test_reasons_stand_beside_their_settings(tmp_path):
    path = tmp_path / "config.yaml"
    write_config(path, CONFIG, {"patch.size": "of\n  two # lines", "loss": "why"})
    lines = path.read_text(encoding="utf-8").splitlines()
    assert "  size: [64, 96]  # of two # lines" in lines
    assert "loss: dice + 10*bce(weight=auto)  # why" in lines
    assert "  batch: 4" in lines
    assert load_config(path) == CONFIG


def test_keys_keep_the_order_of_the_schema(tmp_path):
    path = tmp_path / "config.yaml"
    write_config(path, CONFIG, {})
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    written = [
        f"{section}.{key}" if isinstance(value, dict) else section
        for section, value in tree.items()
        for key in (value if isinstance(value, dict) else [None])
    ]
    assert tuple(written) == known_keys()


TEXTS = st.text(max_size=12) | st.sampled_from(["a: b", "# no", "'", '"', "null", "1e-3", "a\nb"])


@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    root=TEXTS,
    name=TEXTS,
    reason=st.text(max_size=20),
    number=st.floats(1e-300, 1e300),
    options=st.dictionaries(st.text(max_size=5), TEXTS | st.integers() | st.booleans(), max_size=3),
)
def test_any_text_and_number_survives_the_file(tmp_path, root, name, reason, number, options):
    config = replace(
        CONFIG,
        data=DataConfig(root, name, {"classes": [{"name": name, "value": 0}]}),
        model=replace(CONFIG.model, options=options),
        optimizer=replace(CONFIG.optimizer, learning_rate=number),
    )
    write_config(tmp_path / "c.yaml", config, dict.fromkeys(known_keys(), reason))
    assert load_config(tmp_path / "c.yaml") == config


def test_partial_settings_are_read_flat(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(
        "patch: {batch: 8, size: [64, 64]}\nloss: dice\nmodel:\n  options: {width: 8}\n"
        "optimizer.learning_rate: 1e-4\n"
    )
    assert read_settings(path) == {
        "patch.batch": 8,
        "patch.size": (64, 64),
        "loss": "dice",
        "model.options": {"width": 8},
        "optimizer.learning_rate": 0.0001,
    }


def test_a_complete_file_can_be_given_as_settings(tmp_path):
    path = tmp_path / "config.yaml"
    write_config(path, CONFIG, {})
    assert set(read_settings(path)) == set(known_keys())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("patch:\n  batch: 8\n bad: 1\n", ", line 3: "),
        ("loss: [dice\nmodel: 1\n", ", line 2: "),
        ("optimizer: {lr: 1}\n", "did you mean 'optimizer.learning_rate'?"),
        ("patch: {batch: 0}\n", "patch.batch = 0"),
        ("patch: 8\n", "unknown setting 'patch'"),
        ("- a\n", "expected sections with settings"),
        ("", "expected sections with settings"),
        ("1: 2\n", "unknown setting '1'"),
    ],
)
def test_a_mistake_in_a_file_names_the_file(tmp_path, text, says):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    fails(lambda: read_settings(path), str(path), says)


@pytest.mark.parametrize("read", [read_settings, load_config])
def test_files_that_cannot_be_read(tmp_path, read):
    fails(lambda: read(tmp_path / "none.yaml"), "none.yaml: cannot be read: No such file")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\xff\xfe")
    fails(lambda: read(tmp_path / "a.png"), "a.png: cannot be read: it is not a text file")


def test_an_incomplete_config_names_the_file(tmp_path):
    (tmp_path / "config.yaml").write_text("loss: dice\n")
    fails(lambda: load_config(tmp_path / "config.yaml"), "config.yaml: the setting", "is missing")


def test_settings_cannot_be_changed_after_the_fact():
    for section in fields(RunConfig):
        value = getattr(CONFIG, section.name)
        if is_dataclass(value):
            assert type(value).__dataclass_params__.frozen
            assert type(value).__pydantic_config__ == schema._STRICT


# ---------------------------------------------------------------- losses by class


def test_a_loss_by_class_comes_back_complete(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text(
        "loss:\n  background: dice\n  thin: {terms: dice + 10*bce, classes: [jaw, palate]}\n"
        "  noise: none\nbalance: auto\n"
    )
    settings = read_settings(path)
    assert settings == {
        "loss": {
            "background": {"terms": "dice", "weight": 1.0},
            "thin": {"terms": "dice + 10*bce", "classes": ["jaw", "palate"], "weight": 1.0},
            "noise": "none",
        },
        "balance": "auto",
    }
    config = replace(CONFIG, **settings)
    write_config(tmp_path / "config.yaml", config, {"loss": "why"})
    assert "loss:  # why" in (tmp_path / "config.yaml").read_text().splitlines()
    assert load_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("loss", "place"),
    [
        ("dice + 3*bec", "column 10: unknown loss 'bec': did you mean 'bce'?"),
        ("{jaw: {terms: dice + focla}}", "loss.jaw.terms"),
        ("{jaw: {term: dice}}", "loss.jaw"),
        ("{}", "give a line"),
    ],
)
def test_a_wrong_loss_is_refused_where_it_is_written(loss, place, tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text(f"loss: {loss}\n")
    fails(lambda: read_settings(path), str(path), place)
    fails(lambda: read_assignments([f"loss={loss}"]), place)


def test_only_known_balances_are_taken():
    fails(lambda: read_assignments(["balance=always"]), "balance", "'none' or 'auto'")
