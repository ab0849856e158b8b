"""`faultwatch train`: learn what is normal from the readings in the lake."""

from ..components.command import DataOption, TypeOption, now_ms, show, workplace


def train(data: DataOption = None, type_name: TypeOption = None) -> None:
    """Learn what is normal for each device type from the readings in the lake, and hand it to the service.

    A running service takes the new model up at once; the next start does where none runs.
    """
    from .training import STEPS, run_steps

    with workplace(data) as place:
        for type_id, _ in place.types(type_name):
            for made in run_steps(STEPS, place, type_id, now_ms()):
                show(made)
