"""python -m countersign_cli."""

from countersign_cli.main import main

if __name__ == "__main__":
    main(prog_name="countersign")
