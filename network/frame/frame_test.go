package frame_test

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"cordon/network"
	"cordon/network/frame"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	macs = "020000000001 020000000002 "
	syn4 = "45000028000040004006 0000 0a010a02 0a010a01 c350 01bd 00000001 00000000 50 02 ffff 0000 0000"
	syn6 = "6000000000 14 06 40 fd000000000000000000000000000002 fd000000000000000000000000000001 c350 01bd 00000001 00000000 50 02 ffff 0000 0000"
)

var (
	a4 = netip.MustParseAddr("10.1.10.2")
	b4 = netip.MustParseAddr("10.1.10.1")
	a6 = netip.MustParseAddr("fd00::2")
	b6 = netip.MustParseAddr("fd00::1")
)

// The same SYN, however it is wrapped, is the same SYN.
func TestHeaders(t *testing.T) {
	six := syn6[len("6000000000 14 06 40"):] // addresses and TCP
	for name, c := range map[string]struct {
		frame string
		a, b  netip.Addr
		vlan  uint16
	}{
		"IPv4":                      {"0800" + syn4, a4, b4, 0},
		"IPv4 in a VLAN":            {"8100 0064 0800" + syn4, a4, b4, 100},
		"IPv4 in two VLANs":         {"88a8 00c8 8100 0064 0800" + syn4, a4, b4, 200},
		"IPv4 with options":         {"0800 46 00002c00004000 4006 0000 0a010a02 0a010a01 01010101" + strings.SplitN(syn4, "0a010a01", 2)[1], a4, b4, 0},
		"IPv4, trailing bytes":      {"0800" + syn4 + "000000000000", a4, b4, 0},
		"IPv6":                      {"86dd" + syn6, a6, b6, 0},
		"IPv6, hop-by-hop":          {"86dd 6000000000 1c 00 40" + strings.Replace(six, "c350", "06 00 01 04 00000000 c350", 1), a6, b6, 0},
		"IPv6, first fragment":      {"86dd 6000000000 1c 2c 40" + strings.Replace(six, "c350", "06 00 00 01 00000007 c350", 1), a6, b6, 0},
		"IPv6, authentication":      {"86dd 6000000000 24 33 40" + strings.Replace(six, "c350", "06 02 0000 00000001 00000001 00000000 c350", 1), a6, b6, 0},
		"IPv6, destination options": {"86dd 6000000000 24 3c 40" + strings.Replace(six, "c350", "06 01 0104 00000000 0000000000000000 c350", 1), a6, b6, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var p frame.Packet
			text := strings.ReplaceAll(c.frame, "6000000000 ", "60000000 00")
			if !frame.Ethernet(&p, unhex(t, macs+text)) {
				t.Fatal("not read")
			}
			if p.Odd || p.Kind != frame.IP || p.Src != c.a || p.Dst != c.b || p.SrcPort != 50000 || p.DstPort != 445 ||
				p.Protocol != network.TCP || p.Flags != frame.SYN || p.Seq != 1 || p.Payload != 0 || p.VLAN != c.vlan || p.SrcMAC != (network.MAC{2, 0, 0, 0, 0, 2}) {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestClaims(t *testing.T) {
	for name, c := range map[string]struct {
		frame string
		want  netip.Addr
	}{
		"ARP answer":    {"0806 0001080006040002 020000000009 0a010a02 020000000001 0a010a01", a4},
		"gratuitous":    {"0806 0001080006040001 020000000009 0a010a02 000000000000 0a010a02", a4},
		"probe":         {"0806 0001080006040001 020000000009 00000000 000000000000 0a010a02", netip.Addr{}},
		"advertisement": {"86dd 60000000 0020 3a ff fd000000000000000000000000000002 ff020000000000000000000000000001 88 00 0000 20000000 fd000000000000000000000000000002 02 01 020000000009", a6},
		"solicitation":  {"86dd 60000000 0020 3a ff fd000000000000000000000000000002 ff0200000000000000000001ff000001 87 00 0000 00000000 fd000000000000000000000000000001 01 01 020000000009", a6},
	} {
		t.Run(name, func(t *testing.T) {
			var p frame.Packet
			frame.Ethernet(&p, unhex(t, macs+c.frame))
			if p.Claimed != c.want || c.want.IsValid() && (p.Kind != frame.Neighbour || p.Claimant != network.MAC{2, 0, 0, 0, 0, 9}) {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestErrorsQuoteTheirConversation(t *testing.T) {
	var p frame.Packet
	frame.Ethernet(&p, unhex(t, macs+"0800 4500003800004000 4001 0000 0a010a01 0a010a02 03 03 0000 00000000 45000028000040004011 0000 0a010a02 0a010a01 c350 0035 0014 0000"))
	want := frame.Tuple{Src: a4, Dst: b4, Protocol: network.UDP, SrcPort: 50000, DstPort: 53}
	if p.Inner != want {
		t.Errorf("%+v", p.Inner)
	}
}

func TestWhatContradictsItselfIsOdd(t *testing.T) {
	for name, text := range map[string]string{
		"no frame":                 "0200",
		"tag without an end":       macs + "8100 00",
		"header longer than all":   macs + "0800 4f" + syn4[2:],
		"length below the header":  macs + "0800 45000010" + syn4[8:],
		"TCP cut short":            macs + "0800 45000022" + syn4[8:60],
		"TCP header beyond":        macs + "0800" + strings.Replace(syn4, "50 02", "f0 02", 1),
		"extension without an end": macs + "86dd 60000000 0014 00 40 fd000000000000000000000000000002 fd000000000000000000000000000001 06 ff",
	} {
		var p frame.Packet
		frame.Ethernet(&p, unhex(t, text))
		if !p.Odd {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestLaterFragmentsHaveNoPorts(t *testing.T) {
	var p frame.Packet
	frame.Ethernet(&p, unhex(t, macs+"0800"+strings.Replace(syn4, "00004000", "00002001", 1)))
	if !p.Fragment || p.DstPort != 0 {
		t.Errorf("%+v", p)
	}
}

// No frame makes it panic, ask for memory, or read more than is there.
func FuzzEthernet(f *testing.F) {
	for _, s := range []string{"0800" + syn4, "8100 0064 0800" + syn4, "86dd" + strings.ReplaceAll(syn6, "6000000000 ", "60000000 00"), "0806 0001080006040002 020000000009 0a010a02 020000000001 0a010a01"} {
		f.Add(unhex(f, macs+s))
	}
	var p frame.Packet
	f.Fuzz(func(t *testing.T, data []byte) {
		if n := testing.AllocsPerRun(1, func() { frame.Ethernet(&p, data) }); n > 0 {
			t.Errorf("%v allocations", n)
		}
		frame.Network(&p, data)
		frame.Cooked(&p, data, len(data)%2 == 0)
		if p.Payload < 0 || p.Length < 0 {
			t.Errorf("%+v", p)
		}
	})
}
