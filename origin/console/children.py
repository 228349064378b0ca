"""Child processes that read what somebody sent: little memory, little time, no way to write."""

from typing import Final

_NOTHING: Final = (0, 0)


def limit_child(memory: int) -> None:
    """Of the process that calls it, before it loads any decoder: a picture that is a bomb takes the
    child with it, and nothing else. ``memory`` in bytes of address space."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, _NOTHING)
    resource.setrlimit(resource.RLIMIT_CORE, _NOTHING)


def limit_time(most_s: int) -> None:
    """Let the process that calls it compute for so many seconds more."""
    import resource

    spent = resource.getrusage(resource.RUSAGE_SELF)
    until = int(spent.ru_utime + spent.ru_stime) + most_s
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))
