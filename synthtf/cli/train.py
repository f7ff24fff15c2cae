"""`synthtf train`: train a task network on a folder of label maps."""

import argparse

from synthtf.cli.startup import load_backend
from synthtf.cli.usage import usage_errors


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "train",
        help="train a network on synthetic images made from label maps",
        description="Train a network on images synthesised from label maps, a new one at each "
        "step. RUN receives the network, recipe, label table, log, figures and checkpoints.",
    )
    parser.add_argument("task", choices=["segmentation"], help="what the network shall do")
    parser.add_argument("maps", metavar="LABEL_DIR", help="folder, file or .txt list of label maps")
    parser.add_argument("-o", "--output", required=True, metavar="RUN", help="folder of the run")
    _add_data(parser.add_argument_group("data"))
    _add_network(parser.add_argument_group("network"))
    _add_training(parser.add_argument_group("training"))


def _add_data(data: "argparse._ArgumentGroup") -> None:
    data.add_argument("--labels", metavar="TABLE", help="label table: .tsv or FreeSurferColorLUT")
    data.add_argument(
        "--recipe",
        metavar="JSON|NAME",
        default="heads",
        help="file of ranges, or tutorial, synthseg, heads (default: %(default)s)",
    )
    data.add_argument("--spacing", type=float, metavar="MM", help="voxel size (default: the maps')")
    data.add_argument(
        "--shape",
        type=int,
        nargs="+",
        metavar="N",
        help="voxels per axis, around the brain (default: the whole maps)",
    )


def _add_network(network: "argparse._ArgumentGroup") -> None:
    network.add_argument(
        "--features",
        type=int,
        default=24,
        metavar="N",
        help="of the first level (default: %(default)s)",
    )
    network.add_argument(
        "--levels",
        type=int,
        default=5,
        metavar="N",
        help="resolution levels (default: %(default)s)",
    )
    network.add_argument("--max-features", type=int, metavar="N", help="of any level")
    network.add_argument(
        "--mixture",
        type=int,
        default=2,
        metavar="N",
        help="channels of the Gaussian mixture that adapts to the contrast of each image; "
        "0 for SynthSeg's plain U-Net (default: %(default)s)",
    )


def _add_training(training: "argparse._ArgumentGroup") -> None:
    training.add_argument(
        "--loss",
        default="dice",
        choices=["dice", "dice+cross-entropy"],
        help="(default: %(default)s)",
    )
    training.add_argument("--batch-size", type=int, default=1, metavar="N")
    training.add_argument(
        "--epochs", type=int, default=100, metavar="N", help="(default: %(default)s)"
    )
    training.add_argument(
        "--steps-per-epoch", type=int, default=100, metavar="N", help="(default: %(default)s)"
    )
    training.add_argument("--minutes", type=float, metavar="M", help="stop after so long")
    training.add_argument(
        "--learning-rate",
        type=float,
        default=1e-3,
        metavar="X",
        help="at the start (default: %(default)s)",
    )
    training.add_argument(
        "--warm-up",
        type=int,
        default=0,
        metavar="N",
        help="epochs on the L2 loss of the logits (default: %(default)s)",
    )
    training.add_argument(
        "--precision",
        default="float32",
        metavar="POLICY",
        help="Keras dtype policy such as mixed_bfloat16 (default: %(default)s)",
    )
    training.add_argument("--seed", type=int, default=0, metavar="N")
    training.add_argument("--resume", action="store_true", help="go on from the last checkpoint")


def run(args: argparse.Namespace) -> int:
    """Train."""
    with usage_errors():
        from synthtf.data.paths import expand_inputs

        paths = expand_inputs(args.maps)
    load_backend()
    from synthtf.networks import UNetConfig
    from synthtf.tasks.training import Schedule
    from synthtf.tasks.workflow import TrainingPlan, train_segmentation

    network = UNetConfig(
        args.features,
        args.levels,
        max_features=args.max_features,
        mixture_channels=args.mixture,
    )
    schedule = Schedule(args.epochs, args.minutes, args.learning_rate, args.warm_up)
    plan = TrainingPlan(
        labels=args.labels,
        recipe=args.recipe,
        spacing=args.spacing,
        shape=args.shape,
        network=network,
        loss=args.loss,
        batch_size=args.batch_size,
        steps_per_epoch=args.steps_per_epoch,
        precision=args.precision,
        seed=args.seed,
    )
    run = train_segmentation(paths, args.output, plan, schedule, resume=args.resume)
    print(f"{run.folder}: trained for {run.metadata['minutes_done']:g} minutes")
    return 0
