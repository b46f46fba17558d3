-- One turn of a node: everything it wants of Redis at once, done as a whole and once.
--
-- KEYS: 1 log, 2 meta, 3 this node's lane, 4 the index of queues, 5 this node's members; behind them those of each part.
-- ARGV: 1 the turn's number, 2 the epoch, 3 places below this are trimmed ("" is none), 4 the time to live of a queue in
-- milliseconds, 5 its messages, 6 its bytes; behind them the parts, each a letter, how many keys and arguments it has, and
-- those.
--
-- Answers {word, Redis' time in milliseconds, the log's end, answers of the parts, what was pushed, received, expired and
-- pushed out}; the word is "done", "epoch" (with the log's epoch in place of the answers) or "stale". A turn that was done
-- before answers what it answered then.

local log, meta, lane, index, members = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local key, arg = 5, 6
local function next_key() key = key + 1 return KEYS[key] end
local function next_arg() arg = arg + 1 return ARGV[arg] end

local time = redis.call('TIME')
local seconds, now = time[1], tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local ttl, most, most_bytes = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
-- A number becomes a text once, not with each message: that is what took most of Redis' time.
local now_text, ttl_text, DAY = string.format('%.0f', now), ARGV[4], '86400000'

local state = redis.call('HMGET', meta, 'epoch', 'end', 'ids_full')
local epoch, last = state[1], tonumber(state[2] or '0')
if epoch ~= ARGV[2] then
  return {'epoch', now, last, epoch or ''}
end
local ordinal = string.match(epoch, '^%d+')

local number, before = tonumber(ARGV[1]), nil
local done = redis.call('HMGET', lane, 'turn', 'answers', 'counts')
if done[1] then
  if tonumber(done[1]) > number then return {'stale', now, last, ''} end
  if tonumber(done[1]) == number then before = cjson.decode(done[2]) end
end

for name, kind in pairs({[index] = 'zset', [members] = 'set'}) do
  local is = redis.call('TYPE', name).ok
  if is ~= kind and is ~= 'none' then return redis.error_reply('WRONGTYPE ' .. name .. ' is a ' .. is) end
end

local queued_bytes, ids, counts = 0, 0, {pushed = 0, received = 0, expired = 0, pushed_out = 0}
local first = last

local last_text = string.format('%.0f', last)
local function place() return last_text end
local opening, behind = '1 ' .. epoch .. ' ', ' ' .. now_text .. ' '

-- Appends an entry; the error of a Redis that takes none.
local function append(head, data)
  local next_text = string.format('%.0f', last + 1)
  local entry = opening .. last_text .. behind .. head .. '\n' .. data
  local added = redis.pcall('XADD', log, ordinal .. '-' .. next_text, 'e', entry)
  if type(added) == 'table' and added.err then return added.err end
  last, last_text = last + 1, next_text
end

-- What waits in a queue, by its account and as it is: some may have expired with the key.
local function settle(account, waits, known)
  local count, bytes = tonumber(known[1] or '0'), tonumber(known[2] or '0')
  if waits < count then
    redis.pcall('HINCRBY', account, 'missed', string.format('%.0f', count - waits))
    counts.expired = counts.expired + count - waits
  end
  if waits == 0 then
    queued_bytes = queued_bytes - bytes
    bytes = 0
  end
  return bytes
end

-- The bytes of a queue's entry that its account counts: what other programs put there it doesn't.
local function counted_bytes(entry) return string.sub(entry, 1, 11) == '{"cursor":"' and #entry or 0 end

local function keep(account, waits, bytes)
  redis.pcall('HSET', account, 'waits', string.format('%d', waits), 'bytes', string.format('%.0f', bytes))
  redis.call('PEXPIRE', account, DAY)
end

local function push(queue, account, known, user, entry)
  local waits = redis.call('RPUSH', queue, entry)
  local bytes = settle(account, waits - 1, known) + #entry
  queued_bytes = queued_bytes + #entry
  local out = 0
  while waits > 1 and (waits > most or bytes > most_bytes) do
    local counted = counted_bytes(redis.call('LPOP', queue))
    waits, bytes, out = waits - 1, bytes - counted, out + 1
    queued_bytes = queued_bytes - counted
  end
  if out > 0 then
    redis.call('HINCRBY', account, 'missed', out)
    counts.pushed_out = counts.pushed_out + out
  end
  keep(account, waits, bytes)
  redis.call('PEXPIRE', queue, ttl_text)
  redis.call('ZADD', index, now_text, user)
  counts.pushed = counts.pushed + 1
end

local part = {}

-- A message: deadline, how long its id is known (0 without), its fingerprint, head, data, the queue's form of it up to
-- data and how many users it is for, by name.
function part.p()
  local deadline, known_for, print = tonumber(next_arg()), next_arg(), next_arg()
  local head, data, letter, users = next_arg(), next_arg(), next_arg(), tonumber(next_arg())
  local id = known_for ~= '0' and next_key()
  local queues, names, wrong = {}, {}, nil
  for n = 1, users do
    local queue, account = next_key(), next_key()
    local is = redis.call('TYPE', queue).ok
    if is ~= 'list' and is ~= 'none' then wrong = queue end
    -- No user is named twice, so that this holds until the push.
    local known = redis.pcall('HMGET', account, 'waits', 'bytes')
    if known.err then wrong = account end
    queues[n], names[n] = {queue, account, known}, next_arg()
  end
  if now > deadline then return {'late'} end
  if wrong then return {'wrong', wrong} end
  if id then
    local seen = redis.pcall('HMGET', id, 'print', 'cursor')
    if seen.err then return {'wrong', id} end
    if seen[1] and seen[1] ~= print then return {'reused'} end
    if seen[1] then return {'known', seen[2]} end
    if state[3] == '1' then return {'no_room'} end
  end
  local refused = append(head, data)
  if refused then return {'refused', refused} end
  local cursor = epoch .. ':0:' .. ordinal .. '-' .. place()
  if id then
    redis.call('HSET', id, 'print', print, 'cursor', cursor)
    redis.call('PEXPIRE', id, known_for)
    ids = ids + 1
  end
  if users > 0 then
    local entry = '{"cursor":"' .. cursor .. '","timestamp":' .. seconds .. ',"message":' .. letter .. data .. '}}'
    for n = 1, users do push(queues[n][1], queues[n][2], queues[n][3], names[n], entry) end
  end
  return {'new', place()}
end

-- Users who come into rooms of this node, and users who leave them: the entry's head, and each as its room and user.
function part.m()
  local head, come, leave = next_arg(), tonumber(next_arg()), tonumber(next_arg())
  local coming, leaving = {}, {}
  for n = 1, come do coming[n] = next_arg() end
  for n = 1, leave do leaving[n] = next_arg() end
  local refused = append(head, '')
  if refused then return {'refused', refused} end
  if come > 0 then redis.call('SADD', members, unpack(coming)) end
  if leave > 0 then redis.call('SREM', members, unpack(leaving)) end
  return {'new', place()}
end

-- Something for the nodes alone.
function part.c()
  local refused = append(next_arg(), '')
  if refused then return {'refused', refused} end
  return {'new', place()}
end

-- Something that passes by: its channel, and what is said.
function part.e()
  local channel = next_arg()
  redis.call('PUBLISH', channel, next_arg())
  return {'passed'}
end

-- Receipts of one user: what else was found in the queue without a cursor, then places.
function part.r()
  local queue, account, plain, count = next_key(), next_key(), tonumber(next_arg()), tonumber(next_arg())
  local values, places = {}, {}
  for n = 1, plain do values[n] = next_arg() end
  for n = 1, count do places[':' .. next_arg() .. '"'] = true end
  if redis.call('TYPE', queue).ok ~= 'list' then return {'passed'} end
  local taken, bytes = 0, 0
  for n = 1, plain do
    if redis.call('LREM', queue, 1, values[n]) == 1 then bytes, taken = bytes + #values[n], taken + 1 end
  end
  local function take(all)
    for n = 1, #all do
      local name = string.match(all[n], '^{"cursor":"[^"]*(:[%d-]+")')
      if name and places[name] then
        places[name], count = nil, count - 1
        local head = redis.call('LINDEX', queue, 0)
        if head == all[n] then redis.call('LPOP', queue) else redis.call('LREM', queue, 1, all[n]) end
        bytes, taken = bytes + #all[n], taken + 1
      end
    end
  end
  if count > 0 then
    -- They are near the head as a rule; whoever receives out of order has the rest looked through, too.
    local near = 2 * count + 15
    local all, before = redis.call('LRANGE', queue, 0, near - 1), taken
    take(all)
    if count > 0 and #all == near then take(redis.call('LRANGE', queue, near - (taken - before), -1)) end
  end
  counts.received = counts.received + taken
  -- What is in the way of an account must not end the turn behind its appends.
  local knows = redis.call('TYPE', account).ok
  if taken > 0 and (knows == 'hash' or knows == 'none') then
    local known = redis.call('HMGET', account, 'waits', 'bytes')
    local rest = math.max(0, tonumber(known[2] or '0') - bytes)
    local left = math.max(0, tonumber(known[1] or '0') - taken)
    redis.call('HSET', account, 'waits', left, 'bytes', string.format('%.0f', rest))
    if left == 0 then redis.call('HDEL', account, 'told') end
    queued_bytes = queued_bytes - math.min(bytes, tonumber(known[2] or '0'))
  end
  return {'passed'}
end

-- What a queue holds. Other programs push without a bound; what is beyond ours goes, the oldest first, as by a push of ours,
-- since who looks has to take in all of it. Answers that, how many they are, their bytes that count, and how many went.
local function within_bounds(queue, waits, bytes)
  local out = math.max(0, waits - most)
  if out > 0 then redis.call('LTRIM', queue, -most, -1) end
  local all, sizes, total, counted = redis.call('LRANGE', queue, 0, -1), {}, 0, 0
  for n = 1, #all do
    sizes[n] = counted_bytes(all[n])
    total, counted = total + #all[n], counted + sizes[n]
  end
  local first = 1
  while first < #all and total > most_bytes do
    redis.call('LPOP', queue)
    total, counted = total - #all[first], counted - sizes[first]
    first, out = first + 1, out + 1
  end
  if out == 0 then return all, waits, bytes, 0 end
  local kept = {}
  for n = first, #all do kept[#kept + 1] = all[n] end
  queued_bytes = queued_bytes + counted - bytes
  return kept, #kept, counted, out
end

-- A look into a user's queue: whether the user is told what was missed, and who goes on from behind it ("" is nobody).
function part.q()
  local queue, account, tells, session = next_key(), next_key(), next_arg(), next_arg()
  local is, knows = redis.call('TYPE', queue).ok, redis.call('TYPE', account).ok
  if is == 'none' and knows == 'none' then return {'queue', {}, 0, ''} end
  -- What is in the way of a queue holds up nobody.
  if (is ~= 'list' and is ~= 'none') or (knows ~= 'hash' and knows ~= 'none') then return {'queue', {}, 0, ''} end
  -- It takes no memory, and behind it a Redis without memory takes the rest: who goes on from here is to be remembered.
  redis.call('PEXPIRE', account, DAY)
  local waits = redis.call('LLEN', queue)
  local bytes, old = settle(account, waits, redis.call('HMGET', account, 'waits', 'bytes')), 0
  while waits > 0 do
    local head = redis.call('LINDEX', queue, 0)
    local said = tonumber(string.match(head, '^{"cursor":"[^"]*","timestamp":(%d+)'))
    if not said or said * 1000 + ttl > now then break end
    redis.call('LPOP', queue)
    waits, bytes, old = waits - 1, bytes - #head, old + 1
    queued_bytes = queued_bytes - #head
  end
  if old > 0 then
    redis.pcall('HINCRBY', account, 'missed', old)
    counts.expired = counts.expired + old
  end
  local all, out
  all, waits, bytes, out = within_bounds(queue, waits, bytes)
  if out > 0 then
    redis.pcall('HINCRBY', account, 'missed', out)
    counts.pushed_out = counts.pushed_out + out
  end
  local known = redis.call('HMGET', account, 'missed', 'told')
  local missed, told = tonumber(known[1] or '0'), known[2] or ''
  if tells == '1' and missed > 0 then redis.call('HDEL', account, 'missed') end
  if waits == 0 then
    redis.call('HDEL', account, 'told')
  elseif session ~= '' then
    -- So many sessions are remembered; a star says that there were more.
    local _, sessions = string.gsub(told, ' ', ' ')
    if sessions < 8 then
      redis.pcall('HSET', account, 'told', told .. session .. ':' .. place() .. ' ')
    elseif string.sub(told, 1, 1) ~= '*' then
      redis.pcall('HSET', account, 'told', '* ' .. told)
    end
  end
  keep(account, waits, bytes)
  return {'queue', all, missed, told}
end

-- A node that is no more: the entry's head, its lease, its members, and the book of nodes with its name there.
function part.g()
  local lease, theirs, nodes, head, name = next_key(), next_key(), next_key(), next_arg(), next_arg()
  if redis.call('EXISTS', lease) == 1 then return {'passed'} end
  local refused = append(head, '')
  if refused then return {'refused', refused} end
  redis.call('HDEL', nodes, name)
  redis.call('UNLINK', theirs)
  return {'new', place()}
end

local answers, kept = {}, {}
while arg < #ARGV do
  local letter = next_arg()
  local at = #answers + 1
  if before and letter ~= 'q' then
    -- It was done: what belongs to it is passed over, and the answer is the one of then.
    local keys, args = tonumber(next_arg()), tonumber(next_arg())
    key, arg = key + keys, arg + args
    answers[at] = before[at]
  else
    arg = arg + 2
    answers[at] = part[letter]()
    -- What was missed is told once, and the answer that told it may be lost.
    local told = before and before[at] and before[at][1]
    if told then answers[at][3] = answers[at][3] + told end
  end
  kept[at] = letter == 'q' and {answers[at][3]} or answers[at]
end

if not before and #answers > 0 then
  if last > first then redis.call('HSET', meta, 'end', place()) end
  -- Where nothing was written before it, a Redis without memory refuses even this; then nothing was done, either.
  redis.pcall('HSET', lane, 'turn', ARGV[1], 'answers', cjson.encode(kept), 'counts', cjson.encode(counts))
  redis.pcall('PEXPIRE', lane, 600000)
end
if before then
  for name, count in pairs(cjson.decode(done[3])) do counts[name] = counts[name] + count end
end
-- How many ids are known is added up by the minute.
if ids > 0 then redis.pcall('HINCRBY', meta, 'ids:' .. math.floor(now / 60000), ids) end
if queued_bytes ~= 0 then redis.pcall('HINCRBY', meta, 'queued', string.format('%.0f', queued_bytes)) end
if ARGV[3] ~= '' then redis.call('XTRIM', log, 'MINID', ordinal .. '-' .. ARGV[3]) end
return {'done', now, last, answers, {counts.pushed, counts.received, counts.expired, counts.pushed_out}}
