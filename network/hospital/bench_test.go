package hospital_test

import (
	"testing"

	"cordon/network"
	"cordon/network/frame"
	"cordon/network/hospital"
	"cordon/network/track"
)

// What a packet of ordinary work costs, from its first byte to the rules.
func BenchmarkPacket(b *testing.B) {
	h := hospital.New()
	packets := h.Hour(monday, 1)
	w, err := network.New(b.Context(), h.Config(), network.Parts{})
	if err != nil {
		b.Fatal(err)
	}
	table := track.New(w, track.Config{})
	var p frame.Packet
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		one := packets[i%len(packets)]
		if frame.Ethernet(&p, one.Data) {
			table.Packet(one.At, &p)
		}
	}
}
