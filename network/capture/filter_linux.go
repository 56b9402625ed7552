package capture

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"cordon/network/track"
)

// program is a filter for the kernel (classic BPF,
// https://www.kernel.org/doc/Documentation/networking/filter.txt): which packets are
// written into the ring, and how much of each.
type program struct {
	code  []unix.SockFilter
	loose []jump
}

// jump is one to where it is not known yet.
type jump struct {
	at int
	to label
}

type label int

const (
	keep label = iota
	drop
	sample
	end
)

// Where things are in a frame.
const (
	atType  = 12
	atIP    = 14
	v4Total = atIP + 2
	v4Frag  = atIP + 6
	v4Proto = atIP + 9
	v4Src   = atIP + 12
	v4Dst   = atIP + 16
	v6Size  = atIP + 4
	v6Next  = atIP + 6
	v6Src   = atIP + 8
	v6Dst   = atIP + 24
	v6TCP   = atIP + 40

	tcpFlags = 13
	endings  = 0x07 // SYN, FIN, RST
	smallIP  = 100  // bytes: an acknowledgement without data, options and all

	ancillary = -0x1000 // SKF_AD_OFF
	adIfindex = 8
	adRandom  = 56

	oneIn = 64 // packets of a thinned conversation; a power of two
	ports = 0  // the scratch cell that they are in
)

// maxThin bounds the conversations that are thinned, and maxIgnored the networks that
// are ignored: the kernel takes 4096 instructions.
const (
	maxThin    = 64
	maxIgnored = 64
)

// filter makes the program: of these interfaces alone, nothing of the ignored networks,
// one in oneIn of thinned conversations, and with overloaded one in oneIn of all TCP
// packets with data.
func filter(interfaces []uint32, ignore []netip.Prefix, thin []track.Tuple, overloaded bool) []unix.SockFilter {
	p := &program{}
	p.op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, ancillary+adIfindex)
	for i, index := range interfaces {
		p.branch(unix.BPF_JEQ, index, uint8(len(interfaces)-i), 0)
	}
	p.jump(drop)
	four, six := split(thin)
	p.op(unix.BPF_LD|unix.BPF_H|unix.BPF_ABS, atType)
	skip := p.hole(unix.BPF_JEQ, 0x0800)
	p.four(ignore, four, overloaded)
	p.jump(keep)
	p.fill(skip)
	p.branch(unix.BPF_JEQ, 0x86dd, 1, 0)
	p.jump(keep)
	p.six(ignore, six, overloaded)
	p.jump(keep)
	return p.finish()
}

func split(thin []track.Tuple) (four, six []track.Tuple) {
	for _, t := range thin {
		if t.Src.Is4() {
			four = append(four, t)
		} else {
			six = append(six, t)
		}
	}
	return four, six
}

func (p *program) op(code uint16, k int64) {
	p.code = append(p.code, unix.SockFilter{Code: code, K: uint32(k)})
}

// branch skips so many instructions if the comparison with the accumulator is true, or
// false.
func (p *program) branch(kind uint16, k uint32, yes, no uint8) {
	p.code = append(p.code, unix.SockFilter{Code: unix.BPF_JMP | kind | unix.BPF_K, Jt: yes, Jf: no, K: k})
}

func (p *program) jump(to label) {
	p.loose = append(p.loose, jump{len(p.code), to})
	p.op(unix.BPF_JMP|unix.BPF_JA, 0)
}

// hole goes on if the comparison is true, and else to where fill is called: farther
// than a branch reaches.
func (p *program) hole(kind uint16, k uint32) int {
	p.branch(kind, k, 1, 0)
	p.op(unix.BPF_JMP|unix.BPF_JA, 0)
	return len(p.code) - 1
}

func (p *program) fill(hole int) { p.code[hole].K = uint32(len(p.code) - hole - 1) }

func (p *program) four(ignore []netip.Prefix, thin []track.Tuple, overloaded bool) {
	for _, n := range ignore {
		if n.Addr().Is4() && n.Bits() > 0 {
			mask := ^uint32(0) << (32 - n.Bits())
			for _, at := range []int64{v4Src, v4Dst} {
				p.op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, at)
				p.op(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, int64(mask))
				p.branch(unix.BPF_JEQ, word(n.Addr(), 0), 0, 1)
				p.jump(drop)
			}
		}
	}
	if len(thin) == 0 && !overloaded {
		return
	}
	p.op(unix.BPF_LD|unix.BPF_B|unix.BPF_ABS, v4Proto)
	p.branch(unix.BPF_JEQ, unix.IPPROTO_TCP, 1, 0)
	p.jump(keep)
	p.op(unix.BPF_LD|unix.BPF_H|unix.BPF_ABS, v4Frag)
	p.branch(unix.BPF_JSET, 0x3fff, 0, 1)
	p.jump(keep)
	p.op(unix.BPF_LDX|unix.BPF_B|unix.BPF_MSH, atIP)
	p.op(unix.BPF_LD|unix.BPF_B|unix.BPF_IND, atIP+tcpFlags)
	p.branch(unix.BPF_JSET, endings, 0, 1)
	p.jump(keep)
	if overloaded {
		p.op(unix.BPF_LD|unix.BPF_H|unix.BPF_ABS, v4Total)
		p.branch(unix.BPF_JGT, smallIP, 0, 1)
		p.jump(sample)
	}
	p.op(unix.BPF_LD|unix.BPF_W|unix.BPF_IND, atIP)
	p.op(unix.BPF_ST, ports)
	for _, t := range thin {
		p.either(t, func(a netip.Addr) uint32 { return word(a, 0) }, v4Src, v4Dst)
	}
}

// six is the same of IPv6 without extension headers. Of addresses the last word is
// compared: a conversation with the same ports that ends alike is thinned as well.
func (p *program) six(ignore []netip.Prefix, thin []track.Tuple, overloaded bool) {
	for _, n := range ignore {
		if n.Addr().Is6() && n.Bits() > 0 {
			p.within(n, v6Src)
			p.within(n, v6Dst)
		}
	}
	if len(thin) == 0 && !overloaded {
		return
	}
	p.op(unix.BPF_LD|unix.BPF_B|unix.BPF_ABS, v6Next)
	p.branch(unix.BPF_JEQ, unix.IPPROTO_TCP, 1, 0)
	p.jump(keep)
	p.op(unix.BPF_LD|unix.BPF_B|unix.BPF_ABS, v6TCP+tcpFlags)
	p.branch(unix.BPF_JSET, endings, 0, 1)
	p.jump(keep)
	if overloaded {
		p.op(unix.BPF_LD|unix.BPF_H|unix.BPF_ABS, v6Size)
		p.branch(unix.BPF_JGT, smallIP-40, 0, 1)
		p.jump(sample)
	}
	p.op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, v6TCP)
	p.op(unix.BPF_ST, ports)
	for _, t := range thin {
		p.either(t, func(a netip.Addr) uint32 { return word(a, 12) }, v6Src+12, v6Dst+12)
	}
}

// within drops what has an IPv6 address of a network.
func (p *program) within(n netip.Prefix, at int64) {
	words := (n.Bits() + 31) / 32
	for i := range words {
		mask := ^uint32(0)
		if left := n.Bits() - 32*i; left < 32 {
			mask <<= 32 - left
		}
		p.op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, at+int64(4*i))
		p.op(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, int64(mask))
		rest := 3*(words-i-1) + 1 // instructions: those of the words that follow, and the jump
		p.branch(unix.BPF_JEQ, word(n.Addr(), 4*i), 0, uint8(rest))
	}
	p.jump(drop)
}

// either samples the packets of a conversation, both ways. The ports of a packet are in
// the accumulator before and after.
func (p *program) either(t track.Tuple, of func(netip.Addr) uint32, srcAt, dstAt int64) {
	p.match(uint32(t.SrcPort)<<16|uint32(t.DstPort), of(t.Src), of(t.Dst), srcAt, dstAt)
	p.match(uint32(t.DstPort)<<16|uint32(t.SrcPort), of(t.Dst), of(t.Src), srcAt, dstAt)
}

func (p *program) match(both, src, dst uint32, srcAt, dstAt int64) {
	p.branch(unix.BPF_JEQ, both, 0, 6)
	p.op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, srcAt)
	p.branch(unix.BPF_JEQ, src, 0, 3)
	p.op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, dstAt)
	p.branch(unix.BPF_JEQ, dst, 0, 1)
	p.jump(sample)
	p.op(unix.BPF_LD|unix.BPF_MEM, ports)
}

// word is four bytes of an address, the network's order first.
func word(a netip.Addr, at int) uint32 {
	b := a.AsSlice()
	return binary.BigEndian.Uint32(b[at:])
}

// finish writes the ends that jumps lead to.
func (p *program) finish() []unix.SockFilter {
	var at [end]int
	at[sample] = len(p.code)
	p.op(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, ancillary+adRandom)
	p.branch(unix.BPF_JSET, oneIn-1, 1, 0)
	p.op(unix.BPF_RET|unix.BPF_K, snap)
	at[drop] = len(p.code)
	p.op(unix.BPF_RET|unix.BPF_K, 0)
	at[keep] = len(p.code)
	p.op(unix.BPF_RET|unix.BPF_K, snap)
	for _, j := range p.loose {
		p.code[j.at].K = uint32(at[j.to] - j.at - 1)
	}
	return p.code
}
