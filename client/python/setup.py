"""Generates the stubs where the contract is at hand; a source distribution has them already."""

import os
import subprocess

import setuptools

HERE = os.path.dirname(os.path.abspath(__file__))
if os.path.isdir(os.path.join(HERE, "..", "..", "proto", "mmsmo")):
    subprocess.run([os.path.join(HERE, "generate")], check=True)
setuptools.setup()
