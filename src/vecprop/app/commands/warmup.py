"""``vecprop warmup``: all kernels compiled ahead of the first fit."""


def warmup() -> None:
    """Compile all kernels for this processor, so that no fit has to wait for them.

    Example: vecprop warmup
    """
    from rich.console import Console
    from rich.progress import track

    from ...compiled.jit.cache import folder
    from ...compiled.warm_up import kernels

    for _, compiled in track(list(kernels()), "compiling", console=Console(stderr=True)):
        compiled()
    print(f"Kernels are compiled, in {folder() or 'this process alone'}.")
