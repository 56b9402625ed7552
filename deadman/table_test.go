package deadman

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"cordon/interop/lab"
)

// alone is lab.Alone on a machine that passes packets on.
func alone(t *testing.T, fn func(run func(...string) string)) {
	t.Helper()
	lab.Alone(t, func(run func(...string) string) {
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600); err != nil {
			t.Error(err)
			return
		}
		fn(run)
	})
}

func TestRulesLapseByThemselves(t *testing.T) {
	alone(t, func(run func(...string) string) {
		run("nft", "add", "table", "inet", "hospital")
		table, err := NewTable(netip.MustParseAddrPort("10.20.0.10:104"), netip.MustParseAddrPort("10.30.0.5:11112"))
		if err != nil {
			t.Error(err)
			return
		}
		if got := run("nft", "list", "ruleset"); strings.Contains(got, TableName) {
			t.Errorf("rules before they are needed:\n%s", got)
		}
		for range 2 { // made to last
			if err := table.Open(2 * time.Second); err != nil {
				t.Error(err)
				return
			}
			got := run("nft", "list", "ruleset")
			for _, want := range []string{
				"elements = { 104 timeout 2s expires",
				"fib daddr type local ip daddr 10.20.0.10 tcp dport @open dnat ip to 10.30.0.5:11112",
				"ip daddr 10.30.0.5 tcp dport 11112 ct status dnat ct original proto-dst 104 masquerade",
			} {
				if !strings.Contains(got, want) {
					t.Errorf("without %q:\n%s", want, got)
				}
			}
		}
		time.Sleep(3 * time.Second)
		if got := run("nft", "list", "set", "inet", TableName, "open"); strings.Contains(got, "104") {
			t.Errorf("it has not lapsed:\n%s", got)
		}
		for range 2 { // undone, and nothing to undo
			if err := table.Close(); err != nil {
				t.Error(err)
			}
		}
		if got := strings.TrimSpace(run("nft", "list", "ruleset")); got != "table inet hospital {\n}" {
			t.Errorf("left:\n%s", got)
		}
	})
}

func TestRulesForEveryAddressAndForIPv6(t *testing.T) {
	alone(t, func(run func(...string) string) {
		for _, c := range []struct{ listen, to, want string }{
			{"0.0.0.0:11112", "10.30.0.5:104", "meta nfproto ipv4 fib daddr type local tcp dport @open dnat ip to 10.30.0.5:104"},
			{"[fd00::1]:104", "[fd00::5]:11112", "fib daddr type local ip6 daddr fd00::1 tcp dport @open dnat ip6 to [fd00::5]:11112"},
		} {
			table := &Table{netip.MustParseAddrPort(c.listen), netip.MustParseAddrPort(c.to)}
			if err := table.Open(time.Minute); err != nil {
				t.Error(err)
				continue
			}
			if got := run("nft", "list", "table", "inet", TableName); !strings.Contains(got, c.want) {
				t.Errorf("without %q:\n%s", c.want, got)
			}
		}
	})
}

func TestWhatCannotLeadAnywhereIsRefused(t *testing.T) {
	for _, c := range []struct{ listen, to string }{
		{"10.20.0.10:104", "127.0.0.1:104"},
		{"127.0.0.1:104", "10.30.0.5:104"},
		{"10.20.0.10:104", "[fd00::5]:104"},
	} {
		if _, err := NewTable(netip.MustParseAddrPort(c.listen), netip.MustParseAddrPort(c.to)); err == nil {
			t.Errorf("%s to %s was taken", c.listen, c.to)
		}
	}
}
