"""The task of features that do not depend on the contrast."""
