"""`python -m pipeline.porter`: started by `Crew`, for nobody else."""

from pipeline.porter.worker import main

if __name__ == "__main__":
    main()
