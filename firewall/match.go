package firewall

import (
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Verdicts.
func accept() expr.Any           { return &expr.Verdict{Kind: expr.VerdictAccept} }
func drop() expr.Any             { return &expr.Verdict{Kind: expr.VerdictDrop} }
func back() expr.Any             { return &expr.Verdict{Kind: expr.VerdictReturn} }
func jump(chain string) expr.Any { return &expr.Verdict{Kind: expr.VerdictJump, Chain: chain} }
func goTo(chain string) expr.Any { return &expr.Verdict{Kind: expr.VerdictGoto, Chain: chain} }

// when joins what has to match with what is done then.
func when(parts ...[]expr.Any) rule { return slices.Concat(parts...) }

func do(e ...expr.Any) []expr.Any { return e }

// ip matches a version of IP, in the way that nft shows shortest.
func (v *version) ip() []expr.Any {
	if !v.bridged {
		family := byte(unix.NFPROTO_IPV4)
		if v.length == 16 {
			family = unix.NFPROTO_IPV6
		}
		return []expr.Any{
			&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{family}},
		}
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(v.protocol)},
	}
}

// from and to match an address that is in a set.
func (v *version) from(set string) []expr.Any { return v.address(v.source, set) }
func (v *version) to(set string) []expr.Any   { return v.address(v.dest, set) }

func (v *version) address(offset uint32, set string) []expr.Any {
	return append(v.ip(), v.load(offset, 1), in(set))
}

func (v *version) load(offset, register uint32) expr.Any {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: v.length}
}

// opens matches what one end sends to the other of a set of source, destination,
// protocol and port; answers, what comes back.
func (v *version) opens(set string) []expr.Any {
	return v.tuples(v.source, v.dest, destinationPort, set)
}

func (v *version) answers(set string) []expr.Any {
	return v.tuples(v.dest, v.source, sourcePort, set)
}

func (v *version) tuples(first, second, port uint32, set string) []expr.Any {
	return append(v.ip(),
		v.load(first, v.at[0]),
		v.load(second, v.at[1]),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: v.at[2]},
		&expr.Payload{DestRegister: v.at[3], Base: expr.PayloadBaseTransportHeader, Offset: port, Len: 2},
		in(set),
	)
}

// The offsets of ports: RFC 9293 §3.1, RFC 768.
const (
	sourcePort      = 0
	destinationPort = 2
)

// in looks register 1 up.
func in(set string) expr.Any { return &expr.Lookup{SourceRegister: 1, SetName: set} }

func tcp() []expr.Any { return protocol(expr.CmpOpEq, unix.IPPROTO_TCP) }

func protocol(op expr.CmpOp, p byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: op, Register: 1, Data: []byte{p}},
	}
}

// port matches one that is in a set.
func port(offset uint32, set string) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2},
		in(set),
	}
}

// going matches a segment that opens no connection, opening one that does: RFC 9293
// §3.1, SYN without ACK.
func going() []expr.Any   { return opens(expr.CmpOpNeq) }
func opening() []expr.Any { return opens(expr.CmpOpEq) }

func opens(op expr.CmpOp) []expr.Any {
	const syn, ack = 0x02, 0x10
	return append(tcp(),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{syn | ack}, Xor: []byte{0}},
		&expr.Cmp{Op: op, Register: 1, Data: []byte{syn}},
	)
}

// local matches what goes to an address of this machine.
func local() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: 1, ResultADDRTYPE: true, FlagDADDR: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
}

// ethernet matches a hardware address that is in a set: IEEE 802.3 §3.2.
func ethernet(offset uint32, set string) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFTYPE, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint16(unix.ARPHRD_ETHER)},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseLLHeader, Offset: offset, Len: 6},
		in(set),
	}
}

const (
	hardwareDestination = 0
	hardwareSource      = 6
)

// arp matches address resolution (RFC 826), which IPv4 needs on a segment.
func arp() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(unix.ETH_P_ARP)},
	}
}

// fragment matches a fragment of a packet of IPv4 but the first: RFC 791 §3.1, an offset.
func (v *version) fragment() []expr.Any {
	return append(v.ip(),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 6, Len: 2},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 2, Mask: []byte{0x1f, 0xff}, Xor: make([]byte, 2)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 2)},
	)
}

// sender matches address resolution by whoever says that it has an address of a set.
func (v *version) sender(set string) []expr.Any { return do(v.load(arpSender, 1), in(set)) }

// probe matches address resolution by whoever has no address yet: RFC 5227 §2.1.1.
func probe() []expr.Any {
	return do(versions[0].load(arpSender, 1), &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: make([]byte, versions[0].length)})
}

// arpSender is the offset of the sender's IPv4 address on Ethernet: RFC 826.
const arpSender = 14

// message matches a type of ICMP that is in a set.
func (v *version) message(set string) []expr.Any {
	return append(append(v.ip(), protocol(expr.CmpOpEq, v.icmp)...),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
		in(set))
}

// carries matches packets with a mark.
func carries(mark uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(mark)},
	}
}

// marks gives a packet a mark.
func marks(mark uint32) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: binaryutil.NativeEndian.PutUint32(mark)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1},
	}
}

// fresh matches the first packet of a connection. That it asks at all has the kernel
// put fragments together before any rule sees them.
func fresh() []expr.Any {
	return []expr.Any{
		&expr.Ct{Register: 1, Key: expr.CtKeySTATE},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(expr.CtStateBitNEW), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

// The messages of ICMP (RFC 792) and ICMPv6 (RFC 4443, RFC 4861) that a path needs.
var (
	errorTypes = map[string][]byte{"4": {3, 11, 12}, "6": {1, 2, 3, 4}}
	neighbours = []byte{133, 134, 135, 136} // solicitations and advertisements
)

// types is a set of types of ICMP.
func types(name string, v *version, all []byte) set {
	key := nftables.TypeICMPType
	if v.length == 16 {
		key = nftables.TypeICMP6Type
	}
	s := set{name: name, key: key}
	for _, t := range all {
		s.elements = append(s.elements, nftables.SetElement{Key: []byte{t}})
	}
	return s
}
