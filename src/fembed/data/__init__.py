"""The expression matrix: files (`readers`), values with names, transforms, passes over its rows."""

from fembed.data import layers, readers
from fembed.data.expression import Expression

Expression.reader = readers.read
Expression.combine = layers.combined
