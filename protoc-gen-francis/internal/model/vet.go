package model

// vetted are the method names that go vet (its check stdmethods) ties to one
// signature wherever they appear, with that signature. Names that it looks at
// only beside a certain argument, such as Format and Seek, are no trouble.
var vetted = map[string]string{
	"GobDecode":     "GobDecode([]byte) error",
	"GobEncode":     "GobEncode() ([]byte, error)",
	"MarshalJSON":   "MarshalJSON() ([]byte, error)",
	"MarshalXML":    "MarshalXML(*xml.Encoder, xml.StartElement) error",
	"ReadByte":      "ReadByte() (byte, error)",
	"ReadRune":      "ReadRune() (rune, int, error)",
	"UnmarshalJSON": "UnmarshalJSON([]byte) error",
	"UnmarshalXML":  "UnmarshalXML(*xml.Decoder, xml.StartElement) error",
	"UnreadByte":    "UnreadByte() error",
	"UnreadRune":    "UnreadRune() error",
	"WriteByte":     "WriteByte(byte) error",
}

// warnOfVet finds methods that work but that go vet will report in the code of
// every author who implements them.
func (r *reader) warnOfVet(actor *Actor) {
	for _, method := range actor.Methods {
		if signature := vetted[method.Proto.GoName]; signature != "" {
			r.warnings = append(r.warnings, at(method.Desc, nil, "go vet wants every Go method %s to be %s and will report this one; rename the rpc", method.Proto.GoName, signature))
		}
	}
}
