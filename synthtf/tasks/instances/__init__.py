"""The task of telling objects of one kind apart."""
