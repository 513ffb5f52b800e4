"""The work of signal.rs in SciPy, as a workflow has it: python scipy_signal.py [CHANNELS]"""
import resource
import sys

import numpy as np
import scipy.signal

channels = int(sys.argv[1]) if len(sys.argv) > 1 else 200
data = np.random.default_rng(1).random((channels, 120_000), dtype="f4")


def seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


sos = scipy.signal.butter(5, (0.025, 5), "bandpass", fs=200, output="sos")
start = seconds()
trendless = scipy.signal.detrend(scipy.signal.detrend(data, type="constant"), type="linear")
filtered = scipy.signal.sosfiltfilt(sos, trendless)[:, ::4].astype("f4")
middle = seconds()
filtered -= np.median(filtered, axis=0)
print(f"SciPy, {channels} channels: trend and filter {middle - start:.2f} CPU s ({1000 * (middle - start) / channels:.2f} ms a channel); "
      f"median {seconds() - middle:.2f} CPU s; {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB")
