"""docs/postbacks.md and the corpus: every rule is shown by a case, and every case shows a rule."""
import os
import re
import unittest

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CORPUS = os.path.join(TESTS, "corpus")
SPECIFICATION = os.path.join(os.path.dirname(TESTS), "docs", "postbacks.md")


def rules():
    with open(SPECIFICATION) as file:
        return re.findall(r"^<a id=\"p\d+\"></a>\*\*(P\d+)\.", file.read(), re.MULTILINE)


def citations():
    """By rule, the cases and the tests that show it."""
    with open(os.path.join(CORPUS, "rules.txt")) as file:
        lines = [line.split() for line in file if not line.startswith("#")]
    return {rule: citing for rule, *citing in lines}


class RulesTest(unittest.TestCase):
    def test_rules_are_numbered_in_their_order(self):
        self.assertEqual(rules(), [f"P{i + 1}" for i in range(len(rules()))])

    def test_every_rule_is_cited(self):
        self.assertEqual([rule for rule in rules() if not citations().get(rule)], [], "no case cites these")
        self.assertEqual(citations().keys() - set(rules()), set(), "there are no such rules")

    def test_every_case_cites_a_rule(self):
        cases = {name.removesuffix(".body") for name in os.listdir(CORPUS) if name.endswith(".body")}
        cited = {citing for each in citations().values() for citing in each}
        self.assertEqual(cases - cited, set(), "they show no rule")
        for path in cited - cases:
            self.assertTrue(os.path.isfile(os.path.join(os.path.dirname(TESTS), path)), path)

    def test_links_lead_to_rules_and_lines_are_short(self):
        with open(SPECIFICATION) as file:
            text = file.read()
        self.assertEqual(set(re.findall(r"\(#p(\d+)\)", text)) - {rule[1:] for rule in rules()}, set())
        self.assertEqual([line for line in text.splitlines() if len(line) > 100], [])


if __name__ == "__main__":
    unittest.main()
