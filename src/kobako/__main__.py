"""`kobako` and `python -m kobako`: hand the words to the command line."""


def main() -> None:
    import sys

    try:
        from kobako import straight

        straight.install()
        from kobako import startup

        straight.load(startup.EVERY)
        from kobako.cli import dispatch

        dispatch.main(sys.argv)
    except KeyboardInterrupt:  # before the command line minds it, or when it was all but done
        import os

        os._exit(130)


if __name__ == "__main__":
    main()
