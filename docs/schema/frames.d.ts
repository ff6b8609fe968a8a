// What crosses the wire between a gateway and its peers. Made from the models: do not edit.

// sbk.json.v1: a frame is a text frame of the WebSocket. The data of all fragments of a message,
// joined in the order of their index, is the JSON text of a FullMessage.
/** The four fields of a text fragment, and no other. */
export interface Chunk {
  readonly messageId: string;
  readonly index: number;
  readonly total: number;
  readonly data: string;
}

/** A file that travels in a message. */
export interface Attachment {
  readonly name: string;
  readonly type: string;
  readonly content: string;
}

/** A chat message as it crosses the wire: to whom, from whom, what. */
export interface FullMessage {
  readonly to: string;
  readonly from: string;
  readonly text: string;
  readonly attachments: readonly Attachment[];
}

// sbk.bin.v1: a frame is a binary frame of the WebSocket. Numbers are big-endian.
//
//     u8 0xb1 | u8 0 | u16 length of the id | u32 offset | u32 total | id, UTF-8 | data
//
// The data of all frames of a message, each at its offset, is `total` bytes:
//
//     u32 length of the document | document | contents, one after another | u32 CRC-32
//
// The document is JSON. An attachment with content has the number of its bytes there, and the
// contents follow in the order of the attachments. The CRC-32 is of all bytes before it.
export interface BinaryAttachment extends Omit<Attachment, "content"> {
  readonly content: number;
}

export interface BinaryDocument extends Omit<FullMessage, "attachments"> {
  readonly attachments: readonly BinaryAttachment[];
}
