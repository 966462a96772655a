# SPDX-License-Identifier: MIT
"""The work of the line real/python: objects, dictionaries, lists and strings, with nothing imported."""


class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def turned(self):
        return Point(-self.y, self.x)

    def plus(self, other):
        return Point(self.x + other.x, self.y + other.y)


def walk(steps):
    here, step, seen = Point(0, 0), Point(1, 0), {}
    for i in range(steps):
        if (i * i + 7) % 11 < 4:
            step = step.turned()
        here = here.plus(step)
        key = (here.x, here.y)
        seen[key] = seen.get(key, 0) + 1
    return len(seen), max(seen.values()), here.x, here.y


def words(count):
    text = " ".join("w%d" % (i * 7919 % 1013) for i in range(count))
    found = {}
    for word in text.split():
        found[word] = found.get(word, 0) + 1
    order = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return order[:3], len("".join(word.upper().replace("W", "x") for word, _ in order))


def queens(n, row=0, columns=0, left=0, right=0):
    if row == n:
        return 1
    total = 0
    for column in range(n):
        c, a, b = 1 << column, 1 << (row + column), 1 << (row - column + n)
        if not (columns & c or left & a or right & b):
            total += queens(n, row + 1, columns | c, left | a, right | b)
    return total


print(walk(200000), words(150000), queens(7))
