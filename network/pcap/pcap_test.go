package pcap_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"cordon/network/frame"
	"cordon/network/pcap"
)

func TestWhatIsNoPcapFileIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"pcapng": {"\x0a\x0d\x0d\x0a" + string(make([]byte, 40)), pcap.ErrNG},
		"empty":  {"", io.EOF},
		"text":   {"this is no recorded traffic at all", nil},
	} {
		_, err := pcap.NewReader(bytes.NewReader([]byte(c.text)))
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReader(f *testing.F) {
	head := "\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x01\x00\x00\x00"
	f.Add([]byte(head + "\x01\x00\x00\x00\x02\x00\x00\x00\x0e\x00\x00\x00\x0e\x00\x00\x00" + "aaaaaabbbbbb\x08\x00"))
	f.Add([]byte(head + "\x01\x00\x00\x00\x02\x00\x00\x00\xff\xff\xff\xff\x0e\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := pcap.NewReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		var p frame.Packet
		for range len(data) {
			_, packet, err := r.Next()
			if err != nil {
				return
			}
			r.Decode(&p, packet)
		}
	})
}
