"""Runs a command N times: python3 measure.py NAME N COMMAND... Prints CPU and wall seconds (medians) and peak memory.

CPU seconds are user and system of the whole process tree that was waited for; peak memory is the largest process.
"""
import os
import resource
import statistics
import subprocess
import sys
import time

name, runs, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
cpu, wall = [], []
for _ in range(runs):
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ, text=True)
    if done.returncode:
        sys.exit(f"{name}: exit {done.returncode}\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall.append(time.perf_counter() - start)
    cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
print(f"| {name} | {statistics.median(cpu):.2f} | {statistics.median(wall):.2f} | {peak:.0f} MB |", flush=True)
