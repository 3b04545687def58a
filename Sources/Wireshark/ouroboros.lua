-- Wireshark dissector of Ouroboros v1 (docs/PROTOCOL.md), over UDP and TCP. See docs/ANALYSIS.md.
-- Bodies are sealed: what is shown is what anybody on the path can see.

local ouroboros = Proto("ouroboros", "Ouroboros")

local HEADER, OVERHEAD, MAX_BODY, PORT = 16, 32, 1200, 5700
local DATA, ACK, NACK, PING, PONG, HELLO, WELCOME, CLOSE = 1, 2, 3, 4, 5, 6, 7, 8
local ACK_REQ, ACKS, BATCH, ONCE = 0x01, 0x02, 0x04, 0x08
local STREAM, EVOLVING, COMPACT = 0x80, 0x40, 0x1f -- of HELLO and WELCOME

local names = {
    [DATA] = "DATA", [ACK] = "ACK", [NACK] = "NACK", [PING] = "PING", [PONG] = "PONG",
    [HELLO] = "HELLO", [WELCOME] = "WELCOME", [CLOSE] = "CLOSE",
}

-- Section 2.3: flags allowed, flags required, least and largest body without an ack block.
local shapes = {
    [DATA] = { 0x0f, 0, 0, 1200 }, [ACK] = { ACKS, ACKS, 0, 0 }, [NACK] = { ACKS, ACKS, 1, 1 },
    [PING] = { ACKS, 0, 0, 64 }, [PONG] = { ACKS, 0, 0, 64 }, [HELLO] = { 0xdf, 0, 28, 44 },
    [WELCOME] = { STREAM, 0, 20, 20 }, [CLOSE] = { ACKS, 0, 9, 9 },
}

local f = {
    version = ProtoField.uint8("ouroboros.version", "Version", base.DEC, nil, 0xf0),
    type = ProtoField.uint8("ouroboros.type", "Type", base.DEC, names, 0x0f),
    flags = ProtoField.uint8("ouroboros.flags", "Flags", base.HEX),
    ack_req = ProtoField.bool("ouroboros.flags.ack_req", "ACK_REQ", 8, nil, ACK_REQ),
    acks = ProtoField.bool("ouroboros.flags.acks", "ACKS", 8, nil, ACKS),
    batch = ProtoField.bool("ouroboros.flags.batch", "BATCH", 8, nil, BATCH),
    once = ProtoField.bool("ouroboros.flags.once", "ONCE", 8, nil, ONCE),
    stream = ProtoField.bool("ouroboros.flags.stream", "STREAM", 8, nil, STREAM),
    evolving = ProtoField.bool("ouroboros.flags.evolving", "EVOLVING", 8, nil, EVOLVING),
    compact = ProtoField.uint8("ouroboros.flags.compact", "Compact framing", base.HEX, nil, COMPACT),
    length = ProtoField.uint16("ouroboros.length", "Length", base.DEC),
    session = ProtoField.uint32("ouroboros.session", "Session", base.HEX),
    counter = ProtoField.uint64("ouroboros.counter", "Counter", base.DEC),
    epoch = ProtoField.uint64("ouroboros.epoch", "Epoch", base.DEC),
    device = ProtoField.bytes("ouroboros.device", "Device"),
    nonce = ProtoField.bytes("ouroboros.nonce", "Nonce"),
    reach = ProtoField.uint8("ouroboros.reach", "Reach", base.DEC),
    top = ProtoField.uint8("ouroboros.top", "Top", base.DEC),
    max_body = ProtoField.uint16("ouroboros.max_body", "Max body", base.DEC),
    challenge = ProtoField.bytes("ouroboros.challenge", "Challenge"),
    body = ProtoField.bytes("ouroboros.body", "Body (sealed)"),
    tag = ProtoField.bytes("ouroboros.tag", "Tag"),
    malformed = ProtoField.string("ouroboros.malformed", "Malformed"),
}
ouroboros.fields = f

local malformed = ProtoExpert.new(
    "ouroboros.malformed.expert", "Malformed", expert.group.MALFORMED, expert.severity.ERROR)
local challenged = ProtoExpert.new(
    "ouroboros.challenge.expert", "The server asks for a fresh HELLO", expert.group.SEQUENCE,
    expert.severity.NOTE)
ouroboros.experts = { malformed, challenged }

ouroboros.prefs.port = Pref.uint("Port", PORT, "The port of gateways, UDP and TCP")

local function has(flags, bit)
    return flags % (2 * bit) >= bit
end

-- True when every bit of `part` is in `whole`.
local function within(part, whole)
    for _, bit in ipairs { 1, 2, 4, 8, 16, 32, 64, 128 } do
        if has(part, bit) and not has(whole, bit) then return false end
    end
    return true
end

local function in_range(value, least, most)
    return value >= least and value <= most
end

-- Of a HELLO or a WELCOME.
local function terms_flaw(kind, tvb, session)
    local at = kind == HELLO and HEADER + 24 or HEADER + 16
    local reach, max_body = tvb(at, 1):uint(), tvb(at + 2, 2):uint()
    local good = in_range(reach, 4, 64) and in_range(max_body, 64, MAX_BODY)
    if kind == WELCOME and session == 0 then good = reach == 0 and max_body == 0 end
    return not good and "reach or max_body is out of range" or nil
end

-- Compact framing: over datagrams alone, a number of 0 to 4, and none without a code. A fixed credential stays at epoch 0.
local function hello_flaw(tvb, flags)
    local code, number = flags % 4, math.floor(flags % 32 / 4)
    local fits = code == 0 and number == 0 or (code > 0 and number <= 4 and not has(flags, STREAM))
    if not fits then return "a flag that the type does not allow" end
    local is_first = tvb(8, 4):uint() == 0 and tvb(12, 4):uint() == 0
    if not is_first and not has(flags, EVOLVING) then return "an epoch other than 0 without EVOLVING" end
end

local function length_flaw(kind, flags, length)
    local shape = shapes[kind]
    local is_handshake = kind == HELLO or kind == WELCOME
    local bits = is_handshake and 0 or flags
    local fixed = has(bits, ACKS) and 16 or 0
    local least = fixed + shape[3] + (has(bits, ONCE) and 8 or 0) + (has(bits, BATCH) and 2 or 0)
    local odd = kind == HELLO and length ~= 28 and length ~= 44
    if length < least or length > fixed + shape[4] or odd then
        return "Length is impossible for the type and its flags"
    end
end

-- The first check of section 2.3 that fails, in the engine's order; nil when all hold.
local function flaw(tvb)
    if tvb:len() < OVERHEAD then return "shorter than 32 bytes" end
    local first, flags, length = tvb(0, 1):uint(), tvb(1, 1):uint(), tvb(2, 2):uint()
    local kind, session = first % 16, tvb(4, 4):uint()
    if math.floor(first / 16) ~= 1 then return "another version than 1" end
    local shape = shapes[kind]
    if not shape then return "no such type" end
    if length > MAX_BODY then return "Length is above 1200" end
    if tvb:len() ~= OVERHEAD + length then return "Length does not fit the packet's size" end
    if not within(flags, shape[1]) then return "a flag that the type does not allow" end
    if not within(shape[2], flags) then return "without a flag that the type requires" end
    local bad = length_flaw(kind, flags, length)
    if not bad and kind == HELLO then bad = hello_flaw(tvb, flags) end
    if bad then return bad end
    local is_handshake = kind == HELLO or kind == WELCOME
    if (kind == HELLO and session ~= 0) or (not is_handshake and session == 0) then
        return "a session id where there is none, or none where there is one"
    end
    if is_handshake then return terms_flaw(kind, tvb, session) end
    if tvb(8, 4):uint() ~= 0 then return "a counter of 2^32 or above" end
end

local function add_flags(tree, range, kind)
    local flags = tree:add(f.flags, range)
    local is_handshake = kind == HELLO or kind == WELCOME
    local fields = is_handshake and { f.stream, f.evolving, f.compact } or { f.ack_req, f.acks, f.batch, f.once }
    for _, field in ipairs(fields) do flags:add(field, range) end
end

local function add_terms(tree, tvb, at)
    tree:add(f.reach, tvb(at, 1))
    tree:add(f.top, tvb(at + 1, 1))
    tree:add(f.max_body, tvb(at + 2, 2))
end

local function add_body(tree, tvb, kind, length)
    if kind == HELLO then
        tree:add(f.device, tvb(16, 8))
        tree:add(f.nonce, tvb(24, 16))
        add_terms(tree, tvb, 40)
        if length == 44 then tree:add(f.challenge, tvb(44, 16)) end
    elseif kind == WELCOME then
        local is_challenge = tvb(4, 4):uint() == 0
        tree:add(is_challenge and f.challenge or f.nonce, tvb(16, 16))
        add_terms(tree, tvb, 32)
        if is_challenge then tree:add_proto_expert_info(challenged) end
    elseif length > 0 then
        tree:add(f.body, tvb(HEADER, length))
    end
    tree:add(f.tag, tvb(HEADER + length, 16))
end

local function summary(tvb, kind)
    local text = names[kind]
    local flags = tvb(1, 1):uint()
    local words = {}
    local is_handshake = kind == HELLO or kind == WELCOME
    local bits = is_handshake and { { STREAM, "STREAM" }, { EVOLVING, "EVOLVING" } }
        or { { ACK_REQ, "ACK_REQ" }, { ACKS, "ACKS" }, { BATCH, "BATCH" }, { ONCE, "ONCE" } }
    for _, pair in ipairs(bits) do
        if has(flags, pair[1]) then words[#words + 1] = pair[2] end
    end
    if #words > 0 then text = text .. " [" .. table.concat(words, ", ") .. "]" end
    local counter = tostring(tvb(8, 8):uint64())
    if kind == HELLO then
        return string.format("%s Device=%s Epoch=%s", text, tostring(tvb(16, 8):bytes()):lower(), counter)
    end
    local name = kind == WELCOME and "Epoch" or "Counter"
    return string.format(
        "%s Session=%08x %s=%s Len=%d", text, tvb(4, 4):uint(), name, counter, tvb(2, 2):uint())
end

local function add_header(tree, tvb, kind)
    tree:add(f.version, tvb(0, 1))
    tree:add(f.type, tvb(0, 1))
    add_flags(tree, tvb(1, 1), kind)
    tree:add(f.length, tvb(2, 2))
    tree:add(f.session, tvb(4, 4))
    local is_handshake = kind == HELLO or kind == WELCOME
    tree:add(is_handshake and f.epoch or f.counter, tvb(8, 8))
end

-- One packet, the whole of `tvb`.
local function dissect_packet(tvb, pinfo, root)
    local tree = root:add(ouroboros, tvb())
    local bad = flaw(tvb)
    local kind = tvb:len() > 0 and tvb(0, 1):uint() % 16 or 0
    if tvb:len() >= HEADER then add_header(tree, tvb, kind) end
    local text
    if bad then
        text = "Malformed: " .. bad
        tree:add(f.malformed, bad):set_generated()
        tree:add_proto_expert_info(malformed, text)
    else
        add_body(tree, tvb, kind, tvb(2, 2):uint())
        text = summary(tvb, kind)
    end
    tree:append_text(", " .. text)
    return text
end

local function show(pinfo, texts)
    pinfo.cols.protocol = "Ouroboros"
    pinfo.cols.info = table.concat(texts, " | ")
end

local function dissect_datagram(tvb, pinfo, root)
    show(pinfo, { dissect_packet(tvb, pinfo, root) })
    return tvb:len()
end

-- In a stream Length frames the packets.
local function dissect_stream(tvb, pinfo, root)
    local offset, texts = 0, {}
    while offset < tvb:len() do
        local left = tvb:len() - offset
        local size = left >= 4 and OVERHEAD + tvb(offset + 2, 2):uint() or nil
        local is_broken = math.floor(tvb(offset, 1):uint() / 16) ~= 1
            or (size and size > OVERHEAD + MAX_BODY)
        if is_broken then
            texts[#texts + 1] = dissect_packet(tvb(offset):tvb(), pinfo, root)
            offset = tvb:len()
        elseif not size or left < size then
            pinfo.desegment_offset = offset
            pinfo.desegment_len = size and size - left or DESEGMENT_ONE_MORE_SEGMENT
            break
        else
            texts[#texts + 1] = dissect_packet(tvb(offset, size):tvb(), pinfo, root)
            offset = offset + size
        end
    end
    if #texts > 0 then show(pinfo, texts) end
    return tvb:len()
end

function ouroboros.dissector(tvb, pinfo, root)
    -- What the capture cut cannot be checked.
    if tvb:len() == 0 or tvb:len() ~= tvb:reported_len() then return 0 end
    -- 2: a TCP port.
    if pinfo.port_type == 2 then return dissect_stream(tvb, pinfo, root) end
    return dissect_datagram(tvb, pinfo, root)
end

-- On other ports a HELLO with every check held, its Length and its terms among them, is hardly anything else; the
-- rest of its conversation follows.
local function begins(tvb)
    return tvb:len() >= OVERHEAD and tvb:len() == tvb:reported_len()
end

local function hello_size(tvb)
    local size = tvb:len() >= 60 and tvb(0, 1):uint() == 0x16 and OVERHEAD + tvb(2, 2):uint() or 0
    return size <= tvb:len() and size or 0
end

local function is_hello(tvb, size)
    return size > 0 and not flaw(tvb(0, size):tvb())
end

local function guess_datagram(tvb, pinfo, root)
    if not begins(tvb) or not is_hello(tvb, hello_size(tvb)) or hello_size(tvb) ~= tvb:len() then
        return false
    end
    pinfo.conversation = ouroboros
    dissect_datagram(tvb, pinfo, root)
    return true
end

local function guess_stream(tvb, pinfo, root)
    if not begins(tvb) or not is_hello(tvb, hello_size(tvb)) then return false end
    pinfo.conversation = ouroboros
    dissect_stream(tvb, pinfo, root)
    return true
end

ouroboros:register_heuristic("udp", guess_datagram)
ouroboros:register_heuristic("tcp", guess_stream)

local registered = 0
local function register(port)
    for _, name in ipairs { "udp.port", "tcp.port" } do
        local ports = DissectorTable.get(name)
        if registered > 0 then ports:remove(registered, ouroboros) end
        if port > 0 then ports:add(port, ouroboros) end
    end
    registered = port
end

register(ouroboros.prefs.port)
function ouroboros.prefs_changed()
    register(ouroboros.prefs.port)
end
