-- Begins a new life of the log, unless somebody else has.
--
-- KEYS: 1 log, 2 meta. ARGV: 1 the epoch that is over ("" where there was none), 2 the random half of the new one.
-- Answers the log's epoch, which is the new one for whoever was first.
local epoch = redis.call('HGET', KEYS[2], 'epoch') or ''
if epoch ~= ARGV[1] and epoch ~= '' then return epoch end
local ordinal = tonumber(string.match(ARGV[1], '^%d+') or '0')
if redis.call('TYPE', KEYS[1]).ok == 'stream' then
  local facts = redis.call('XINFO', 'STREAM', KEYS[1])
  for n = 1, #facts, 2 do
    if facts[n] == 'last-generated-id' then
      ordinal = math.max(ordinal, tonumber(string.match(facts[n + 1], '^%d+')))
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
