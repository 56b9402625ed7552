package console

import (
	"strings"
	"testing"
	"time"

	"cordon/ledger"
)

func TestStatusSaysWhatIsWrongWithWitnesses(t *testing.T) {
	for _, c := range []struct {
		state ledger.WitnessState
		level Level
		says  string
	}{
		{ledger.WitnessState{Name: "b", Records: 7}, Well, ""},
		{ledger.WitnessState{Name: "b", Error: "connection refused"}, Well, ""},
		{ledger.WitnessState{Name: "b", Late: true, Error: "connection refused"}, Degraded, "Witness b does not cosign the ledger: connection refused"},
		{ledger.WitnessState{Name: "b", Refused: true, Error: "an older copy"}, Degraded, "keep this data directory as evidence (an older copy)"},
	} {
		s := Status{Flow: Flow{Accepting: true}, Witnesses: []ledger.WitnessState{c.state}}
		s.judge(time.Now())
		if all := strings.Join(s.Says, " "); s.Level != c.level || !strings.Contains(all, c.says) {
			t.Errorf("%+v: %s: %s", c.state, s.Level, all)
		}
	}
}
