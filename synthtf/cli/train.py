"""`synthtf train`: train a task network on a folder of label maps."""

import argparse
from typing import TYPE_CHECKING

from synthtf.startup import load_backend
from synthtf.usage import usage_errors

if TYPE_CHECKING:
    from synthtf.tasks.plans import TaskPlan

Group = argparse._ArgumentGroup

_KINDS = ("deformable", "affine", "rigid", "joint")


def add_parser(subparsers: "argparse._SubParsersAction") -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "train",
        help="train a network on synthetic images made from label maps",
        description="Train a network on images synthesised from label maps, a new one at each "
        "step. RUN receives the network, recipe, label table, log, figures and checkpoints.",
    )
    tasks = parser.add_subparsers(dest="task", metavar="TASK", required=True)
    _add_task(
        tasks, "segmentation", "label each voxel of one image", _add_segmentation, _segmentation
    )
    _add_task(tasks, "stripping", "find the brain in an image", _add_stripping, _stripping)
    _add_task(
        tasks, "registration", "align an image with another", _add_registration, _registration
    )


def _add_task(
    tasks: "argparse._SubParsersAction", name: str, text: str, add_network: object, plan: object
) -> None:
    parser = tasks.add_parser(name, help=text, description=f"Train a network to {text}.")
    parser.set_defaults(make_task=plan)
    parser.add_argument(
        "maps",
        nargs="?",
        metavar="LABEL_DIR",
        help="label maps: a file, a folder, or a .txt list of files; none for a recipe that makes "
        "its own, such as vessels",
    )
    parser.add_argument("-o", "--output", required=True, metavar="RUN", help="folder of the run")
    _add_data(parser.add_argument_group("data"))
    add_network(parser.add_argument_group("network"))
    _add_training(parser.add_argument_group("training"))


def _add_data(data: Group) -> None:
    data.add_argument("--labels", metavar="TABLE", help="label table: .tsv or FreeSurferColorLUT")
    data.add_argument(
        "--recipe",
        metavar="JSON|NAME",
        default="heads",
        help="file of ranges, or the name of a preset such as heads or synthmorph-brains "
        "(default: %(default)s)",
    )
    data.add_argument("--spacing", type=float, metavar="MM", help="voxel size (default: the maps')")
    data.add_argument(
        "--shape",
        type=int,
        nargs="+",
        metavar="N",
        help="voxels per axis, around the brain (default: the whole maps)",
    )


def _add_segmentation(network: Group) -> None:
    _add_number(network, "--features", 24, "of the first level")
    _add_number(network, "--levels", 5, "resolution levels")
    network.add_argument("--max-features", type=int, metavar="N", help="of any level")
    _add_number(
        network,
        "--fine-features",
        0,
        "of a thin level of twice the resolution above the first: with --spacing 1, all others "
        "work at 2 mm and coarser; 0 for none",
    )
    _add_number(
        network,
        "--mixture",
        0,
        "channels of a Gaussian mixture that adapts to the contrast of each image; 0 for "
        "SynthSeg's plain U-Net",
    )
    network.add_argument(
        "--no-side-channel",
        dest="side_channel",
        action="store_false",
        help="left and right of each structure are learned apart",
    )
    network.add_argument(
        "--loss",
        default="dice+cross-entropy",
        choices=["dice", "dice+cross-entropy", "cross-entropy"],
        help="(default: %(default)s)",
    )
    _add_number(network, "--warm-up", 0, "epochs on the L2 loss of the logits")


def _add_stripping(network: Group) -> None:
    _add_number(network, "--features", 16, "of the first level; at most four times as many below")
    _add_number(network, "--levels", 5, "resolution levels")


def _add_registration(network: Group) -> None:
    network.add_argument(
        "--kind", choices=_KINDS, default="deformable", help="(default: %(default)s)"
    )
    network.add_argument(
        "--affine", metavar="RUN", help="trained run of the kind affine or rigid, for joint"
    )
    network.add_argument(
        "--features",
        type=int,
        default=16,
        metavar="N",
        help="of the first level (default: %(default)s)",
    )
    network.add_argument(
        "--regularization",
        type=float,
        default=1.0,
        metavar="X",
        help="weight of the roughness of the velocity; joint learns all of (0, 1) at once "
        "(default: %(default)s)",
    )
    _add_number(
        network,
        "--mixture",
        2,
        "channels of the Gaussian mixture by which a detector adapts to the contrast of each "
        "image; 0 for SynthMorph's detector",
    )
    detector = network.add_mutually_exclusive_group()
    detector.add_argument(
        "--detector",
        metavar="RUN",
        help="for deformable and joint: trained run of the kind affine or rigid, or a "
        "segmentation, which, as it is, finds the features to compare (default: a new one, "
        "trained with the rest)",
    )
    detector.add_argument(
        "--no-detector",
        action="store_true",
        help="for deformable and joint: VoxelMorph's U-Net on the images themselves",
    )
    network.add_argument(
        "--landmarks",
        type=float,
        default=0.0,
        metavar="X",
        help="weight of teaching the detector to show one structure in each of its first maps "
        "(default: %(default)s)",
    )
    network.add_argument(
        "--same-anatomy",
        action="store_true",
        help="pairs of one label map deformed twice, as of longitudinal scans",
    )
    network.add_argument(
        "--shapes",
        type=float,
        default=0.0,
        metavar="P",
        help="share of pairs that show random shapes instead of anatomy (default: %(default)s)",
    )
    network.add_argument(
        "--aligned",
        action="store_true",
        help="pairs that an affine transform has aligned, for a deformable network that is to "
        "come after an affine one",
    )


def _add_training(training: Group) -> None:
    _add_number(training, "--batch-size", 1, "samples, or pairs, per step")
    _add_number(training, "--epochs", 100, "at most; 0 writes the network as it begins")
    _add_number(training, "--steps-per-epoch", 100, "steps between checkpoints")
    training.add_argument("--minutes", type=float, metavar="M", help="stop after so long")
    training.add_argument(
        "--learning-rate",
        type=float,
        default=5e-3,
        metavar="X",
        help="at the start (default: %(default)s)",
    )
    training.add_argument(
        "--no-anneal",
        dest="anneal",
        action="store_false",
        help="keep the learning rate, so that the training can go on; it falls by default",
    )
    training.add_argument(
        "--average",
        type=float,
        default=0.0,
        metavar="X",
        help="momentum of the moving average of the weights that RUN gets, such as 0.999 "
        "(default: 0, the last weights)",
    )
    training.add_argument(
        "--optimizer", default="muon", choices=["muon", "adam"], help="(default: %(default)s)"
    )
    training.add_argument(
        "--precision",
        default="float32",
        metavar="POLICY",
        help="Keras dtype policy such as mixed_bfloat16 (default: %(default)s)",
    )
    _add_number(training, "--workers", 1, "threads that prepare label maps ahead")
    training.add_argument("--seed", type=int, default=0, metavar="N")
    _add_number(
        training,
        "--check-every",
        50,
        "steps between looks for samples that are useless, which RUN/guard.csv lists; 0 for none",
    )
    training.add_argument(
        "--start",
        metavar="RUN",
        help="begin with the weights of a trained run of the same network; a detector, also with "
        "the network and weights of a segmentation",
    )
    training.add_argument("--resume", action="store_true", help="go on from the last checkpoint")


def _add_number(group: Group, flag: str, default: int, text: str) -> None:
    group.add_argument(
        flag, type=int, default=default, metavar="N", help=f"{text} (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Train."""
    with usage_errors():
        from synthtf.data.paths import expand_inputs, output_folder
        from synthtf.data.shipped_models import model_folder

        paths = expand_inputs(args.maps) if args.maps else None
        output = output_folder(args.output, "-o")
        for flag in ("affine", "detector", "start"):
            if getattr(args, flag, None):
                setattr(args, flag, model_folder(getattr(args, flag), flag, f"--{flag}"))
    load_backend()
    from synthtf.synthesis import load_recipe
    from synthtf.tasks.training import Schedule
    from synthtf.tasks.workflow import TrainingPlan, load_table, train_run

    with usage_errors():
        warm_up = getattr(args, "warm_up", 0)
        schedule = Schedule(
            epochs=args.epochs,
            minutes=args.minutes,
            learning_rate=args.learning_rate,
            anneal=args.anneal,
            average=args.average,
            optimizer=args.optimizer,
            warm_up=warm_up,
            check_every=args.check_every,
        )
        plan = TrainingPlan(
            labels=load_table(args.labels),
            recipe=load_recipe(args.recipe),
            spacing=args.spacing,
            shape=args.shape,
            task=args.make_task(args),
            batch_size=args.batch_size,
            steps_per_epoch=args.steps_per_epoch,
            precision=args.precision,
            workers=args.workers,
            seed=args.seed,
            start=args.start,
        )
    run = train_run(paths, output, plan, schedule, resume=args.resume)
    print(f"{run.folder}: trained for {run.metadata['minutes_done']:g} minutes")
    return 0


def _segmentation(args: argparse.Namespace) -> "TaskPlan":
    from synthtf.networks import UNetConfig
    from synthtf.tasks.plans import SegmentationPlan

    network = UNetConfig(
        args.features,
        args.levels,
        max_features=args.max_features,
        fine_features=args.fine_features,
        mixture_channels=args.mixture,
        side_channel=args.side_channel,
    )
    return SegmentationPlan(network, args.loss)


def _stripping(args: argparse.Namespace) -> "TaskPlan":
    from synthtf.tasks.plans import StrippingPlan
    from synthtf.tasks.skull_stripping import stripping_network

    return StrippingPlan(stripping_network(args.features, args.levels))


def _registration(args: argparse.Namespace) -> "TaskPlan":
    from synthtf.tasks.detectors import detector_of
    from synthtf.tasks.plans import RegistrationPlan, registration_network
    from synthtf.tasks.run import Run

    detector = detector_of(Run.load(args.detector)) if args.detector else not args.no_detector
    network = registration_network(args.kind, args.features, detector, args.mixture)
    start = Run.load(args.start) if args.start else None
    if args.kind in ("affine", "rigid") and start and start.task == "segmentation":
        network = detector_of(start)
    return RegistrationPlan(
        args.kind,
        network=network,
        affine=args.affine,
        detector=args.detector,
        regularization=args.regularization,
        landmarks=args.landmarks,
        same_anatomy=args.same_anatomy,
        shapes=args.shapes,
        aligned=args.aligned,
    )
