"""The rules' version. Rule: it changes with every change of what they say."""

VERSION = "6"
