#!/usr/bin/env bash
# Runs all checks that a change must pass: formatting, warnings, imports between targets, the quickstart, and all tests,
# in one optimized configuration. Uses real data sets if HANSA_TEST_DATA names their folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

Tests/install-packages.sh openssl

echo "== formatting"
swift format lint --strict --parallel --recursive Package.swift Sources Tests

echo "== build (optimized, warnings are errors, imports between targets checked)"
swift build -c release --build-tests --explicit-target-dependency-import-check error

echo "== quickstart"
examples/quickstart/run.sh

echo "== tests"
swift test -c release --skip-build "$@"
