-- Begins a new life of the log, unless somebody else has.
--
-- KEYS: 1 log, 2 meta. ARGV: 1 the epoch that is over ("" where there was none), 2 the random half of the new one, 3 an
-- ordinal that some node knows: the new one is above it.
-- Answers the log's epoch, which is the new one for whoever was first.
local epoch = redis.call('HGET', KEYS[2], 'epoch') or ''
-- What is no epoch is nobody's.
if not string.match(epoch, '^%d+%.%x+$') then epoch = '' end
if epoch ~= ARGV[1] and epoch ~= '' then return epoch end
local ordinal = math.max(tonumber(string.match(ARGV[1], '^%d+') or '0'), tonumber(ARGV[3] or '0'))
if redis.call('TYPE', KEYS[1]).ok == 'stream' then
  local facts = redis.call('XINFO', 'STREAM', KEYS[1])
  for n = 1, #facts, 2 do
    if facts[n] == 'last-generated-id' then
      local last = tonumber(string.match(facts[n + 1], '^%d+'))
      -- Somebody else has put in what no node did, under an id beyond all of ours: nothing of ours could come behind it.
      if last >= 16777215 then redis.call('UNLINK', KEYS[1]) else ordinal = math.max(ordinal, last) end
    end
  end
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
epoch = string.format('%.0f', ordinal + 1) .. '.' .. ARGV[2]
local first = string.format('%.0f', ordinal + 1) .. '-1'
redis.call('XADD', KEYS[1], first, 'e', '1 ' .. epoch .. ' 0 ' .. now .. ' {"k":"o"}\n')
redis.call('HSET', KEYS[2], 'epoch', epoch, 'end', '1')
return epoch
