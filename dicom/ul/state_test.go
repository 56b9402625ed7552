package ul

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// table910 is PS3.8 table 9-10 cell by cell: the event, then states and the action in them.
const table910 = `
E1 S1 AE-1; E2 S4 AE-2; E3 S2 AA-1, S5 AE-3, S3/6–12 AA-8, S13 AA-6; E4 S2 AA-1, S5 AE-4, S3/6–12 AA-8, S13 AA-6;
E5 S1 AE-5; E6 S2 AE-6, S3/5–12 AA-8, S13 AA-7; E7 S3 AE-7; E8 S3 AE-8; E9 S6 DT-1, S8 AR-7;
E10 S2 AA-1, S6 DT-2, S7 AR-6, S3/5/8–12 AA-8, S13 AA-6; E11 S6 AR-1;
E12 S2 AA-1, S6 AR-2, S7 AR-8, S3/5/8–12 AA-8, S13 AA-6; E13 S2 AA-1, S7/11 AR-3, S10 AR-10, S3/5/6/8/9/12 AA-8, S13 AA-6;
E14 S8/12 AR-4, S9 AR-9; E15 S4 AA-2, S3/5–12 AA-1; E16 S2/13 AA-2, S3/5–12 AA-3; E17 S2 AA-5, S3–12 AA-4, S13 AR-5;
E18 S2/13 AA-2; E19 S2 AA-1, S3/5–12 AA-8, S13 AA-7`

// parseTable reads the notation of table910.
func parseTable(t *testing.T, text string) (cells [19][13]string) {
	t.Helper()
	for row := range strings.SplitSeq(text, ";") {
		head, rest, _ := strings.Cut(strings.TrimSpace(row), " ")
		e := number(t, head[1:])
		for cell := range strings.SplitSeq(rest, ",") {
			states, act, _ := strings.Cut(strings.TrimSpace(cell), " ")
			for part := range strings.SplitSeq(states[1:], "/") {
				from, to, isRange := strings.Cut(part, "–")
				if !isRange {
					to = from
				}
				for s := number(t, from); s <= number(t, to); s++ {
					cells[e-1][s-1] = act
				}
			}
		}
	}
	return cells
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestStateTableIsTheStandards(t *testing.T) {
	want := parseTable(t, table910)
	cells := 0
	for e := range want {
		for s := range want[e] {
			if got := stateTable[e][s].String(); got != want[e][s] {
				t.Errorf("event %d in Sta%d: %q, want %q", e+1, s+1, got, want[e][s])
			}
			if want[e][s] != "" {
				cells++
			}
		}
	}
	if cells != 123 {
		t.Errorf("the list has %d cells, want 123", cells)
	}
}

// The states that tables 9-6 to 9-9 name for each action.
func TestActionsLeadToTheStandardsStates(t *testing.T) {
	next := map[string]state{
		"AE-1": 4, "AE-2": 5, "AE-3": 6, "AE-4": 1, "AE-5": 2, "AE-6": 3, "AE-7": 6, "AE-8": 13, "DT-1": 6, "DT-2": 6,
		"AR-1": 7, "AR-2": 8, "AR-3": 1, "AR-4": 13, "AR-5": 1, "AR-6": 7, "AR-7": 8, "AR-8": 10, "AR-9": 11, "AR-10": 12,
		"AA-1": 13, "AA-2": 1, "AA-3": 1, "AA-4": 1, "AA-5": 1, "AA-6": 13, "AA-7": 13, "AA-8": 13,
	}
	if len(next) != len(actionNames)-1 {
		t.Fatalf("%d actions, want %d", len(actionNames)-1, len(next))
	}
	for act := ae1; act <= aa8; act++ {
		if got, want := (&machine{}).next(act), next[act.String()]; got != want {
			t.Errorf("%v leads to Sta%d, want Sta%d", act, got, want)
		}
	}
	if got := (&machine{requestor: true}).next(ar8); got != sta9 {
		t.Errorf("AR-8 of the requestor leads to Sta%d, want Sta9", got)
	}
	if got := (&machine{refuse: true}).next(ae6); got != sta13 {
		t.Errorf("AE-6 of a request that is not acceptable leads to Sta%d, want Sta13", got)
	}
}

func TestImpossibleEventChangesNothing(t *testing.T) {
	m := machine{state: sta6}
	if act, err := m.step(evt7AssociateAccept); err == nil || act != no || m.state != sta6 {
		t.Errorf("got %v, %v, Sta%d", act, err, m.state)
	}
}

func TestARTIMRunsWhereTheStandardStartsIt(t *testing.T) {
	starts := fmt.Sprint([]action{ae5, ae8, ar4, aa1, aa8})
	var got []action
	for act := ae1; act <= aa8; act++ {
		if (&machine{}).startsARTIM(act) {
			got = append(got, act)
		}
	}
	if fmt.Sprint(got) != starts {
		t.Errorf("ARTIM starts with %v, want %v", got, starts)
	}
	if !(&machine{refuse: true}).startsARTIM(ae6) {
		t.Error("ARTIM does not start after AE-6 sent A-ASSOCIATE-RJ")
	}
}
