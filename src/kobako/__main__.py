"""`kobako` and `python -m kobako`: hand the words to the command line."""


def main() -> None:
    import sys

    from kobako import straight, together

    straight.install()
    straight.load(together.EVERY)
    from kobako.cli import dispatch

    dispatch.main(sys.argv)


if __name__ == "__main__":
    main()
