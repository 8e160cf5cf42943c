package model

import (
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// goNames are the exported names that protoc-gen-go declares in a Go package, in
// any of its APIs, and what each stands for.
type goNames map[string]protoreflect.Descriptor

func (n goNames) addFile(file *protogen.File) {
	n[file.GoDescriptorIdent.GoName] = file.Desc
	n.addEnums(file.Enums)
	n.addMessages(file.Messages)
	n.addExtensions(file.Extensions)
}

func (n goNames) addMessages(messages []*protogen.Message) {
	for _, message := range messages {
		n[message.GoIdent.GoName] = message.Desc
		n[message.GoIdent.GoName+"_builder"] = message.Desc
		for _, field := range message.Fields {
			if field.Oneof != nil {
				n[field.GoIdent.GoName] = field.Desc
			}
		}
		n.addEnums(message.Enums)
		n.addMessages(message.Messages)
		n.addExtensions(message.Extensions)
	}
}

func (n goNames) addEnums(enums []*protogen.Enum) {
	for _, enum := range enums {
		n[enum.GoIdent.GoName] = enum.Desc
		n[enum.GoIdent.GoName+"_name"] = enum.Desc
		n[enum.GoIdent.GoName+"_value"] = enum.Desc
		for _, value := range enum.Values {
			n[value.GoIdent.GoName] = value.Desc
		}
	}
}

func (n goNames) addExtensions(extensions []*protogen.Extension) {
	for _, extension := range extensions {
		name := extension.GoName
		if extension.Parent != nil {
			name = extension.Parent.GoIdent.GoName + "_" + name
		}
		n["E_"+name] = extension.Desc
	}
}
