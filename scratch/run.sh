export PYTHONPATH=/work/scratch/path
exec timeout 900 /work/main/.venv/bin/python "$@"
