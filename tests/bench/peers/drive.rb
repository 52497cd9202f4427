# SPDX-License-Identifier: MIT
# Drives Sidekiq: the same verbs as drive.mjs.  drive.rb sidekiq ADDRESS VERB ...; its own program loads this file as well, for
# what a job does. The free Sidekiq takes a job off the list when it begins: one whose process dies is lost.
require 'json'
require 'sidekiq'

SIZE = 200
BULK = 1000
WARM_S = 0.2
LINES_AT_ONCE = 200
FLUSH_S = 0.05
ADDRESS = ENV['JOBQ_PEER_ADDRESS'] || ARGV[1]

# This Sidekiq is older than this client, which complains on each call.
Redis.silence_deprecations = true if Redis.respond_to?(:silence_deprecations=)

Sidekiq.configure_server do |config|
  config.redis = { url: "unix://#{ADDRESS}" }
  config.logger.level = Logger::WARN # not two lines a job
end
Sidekiq.configure_client { |config| config.redis = { url: "unix://#{ADDRESS}" } }

def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

# Lines of jobs: number, time; written some at a time and what is left over by a thread.
module Told
  @alone = Mutex.new
  @lines = []

  def self.add(number)
    @alone.synchronize do
      @lines << "#{number} #{now}\n"
      write if @lines.size >= LINES_AT_ONCE
      @thread ||= Thread.new { loop { sleep FLUSH_S; @alone.synchronize { write } } }
    end
  end

  def self.write
    @out ||= IO.for_fd(ENV['JOBQ_PEER_LINES'].to_i, 'w')
    @out.syswrite(@lines.join) unless @lines.empty?
    @lines = []
  end
end

# The job.
class Bench
  include Sidekiq::Worker

  def perform(job) = Told.add(job['n'])
end

def payload(number)
  room = SIZE - "{\"n\":#{number},\"text\":\"\"}".size
  { 'n' => number, 'text' => 'x' * room }
end

def put(first, count)
  return Bench.perform_async(payload(first)) if count == 1

  Sidekiq::Client.push_bulk('class' => Bench, 'args' => Array.new(count) { |i| [payload(first + i)] })
end

def insert_for(batch, first, seconds)
  start = now
  count = 0
  while count.zero? || now - start < seconds
    put(first + count, batch)
    count += batch
  end
  [count, now - start]
end

def insert(batch, seconds)
  warm, = insert_for(batch, 1, WARM_S)
  count, took = insert_for(batch, 1 + warm, seconds)
  waiting = Sidekiq::Queue.new.size
  abort "#{waiting} jobs wait of #{warm + count} that were put" if waiting != warm + count
  puts "insert-#{batch} #{count / took} jobs/s"
end

def fill(count) = (0...count).step(BULK) { |done| put(done + 1, [BULK, count - done].min) }

def send_each(count, milliseconds)
  (1..count).each do |number|
    Told.add(number)
    put(number, 1)
    sleep milliseconds / 1000.0
  end
  Told.write
end

def work(level)
  ENV['JOBQ_PEER_ADDRESS'] = ADDRESS
  exec('sidekiq', '-r', File.expand_path(__FILE__), '-c', level, '-q', 'default', close_others: false)
end

if $PROGRAM_NAME == __FILE__
  require 'sidekiq/api'
  verb, *words = ARGV.drop(2)
  case verb
  when 'version' then puts Sidekiq::VERSION
  when 'fill' then fill(words[0].to_i)
  when 'send' then send_each(words[0].to_i, words[1].to_i)
  when 'work' then work(words[0])
  else insert(verb.split('-')[1].to_i, words[0].to_f)
  end
end
